//! `portolan`: Kubernetes Services and networking in one binary.
//!
//! This crate holds no rules of its own: it reads the configuration, starts the edges, runs the
//! controllers and hands each plan to the edge that applies it.
#![forbid(unsafe_code)]

mod apply;
mod backup;
mod cli;
mod config;
mod controllers;
mod datapath;
mod dataplane;
mod enter;
mod explain;
mod inside;
mod lab;
mod load;
mod logging;
mod marker;
mod metrics;
mod network;
mod node;
mod plan;
mod pods;
mod problems;
mod remote;
mod reset;
mod sandbox;
mod screen;
mod seed;
mod status;
mod statuses;
mod up;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse_from(node::as_kube_proxy(std::env::args_os().collect()));
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portolan: {error:#}");
            ExitCode::FAILURE
        }
    }
}
