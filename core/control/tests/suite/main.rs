//! The controllers against a cluster in memory.

mod cases;
mod lab;
mod laws;
mod refusals;
