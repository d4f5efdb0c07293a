//! Real packets through the rulesets that the product plans: every row of the feature table, in
//! namespaces, over both families, TCP and UDP.
//!
//! Where the kernel refuses namespaces, each test says so and passes.

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
mod sctp;
mod udp;
mod world;
