//! End to end: the built `portolan`, the real kubectl, curl and dig.

mod backup;
mod bad_input;
mod bulk;
mod clients;
mod commands;
mod harness;
mod helm;
mod inside;
mod live;
mod mission;
mod node;
mod quickstart;
mod real;
mod streams;
mod workloads;
