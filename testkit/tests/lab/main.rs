//! Real packets through the rulesets that the product plans: every row of the feature table, in
//! namespaces, over both families, TCP and UDP.
//!
//! Without root, each test runs as root of a user namespace of its own. Where the kernel refuses
//! that too, it says so and passes.

mod affinity;
mod balancing;
mod cluster_ip;
mod flush;
mod life;
mod load;
mod load_balancer;
mod masquerade;
mod node_port;
mod objects;
mod policy;
mod refusal;
mod rights;
mod sctp;
mod udp;
mod world;
