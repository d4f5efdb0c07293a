//! Rulesets of nodes: the laws of planning, verdicts of rules against those of the API's
//! documentation, and cases.

mod cases;
mod generate;
mod hooks;
mod laws;
mod listing;
mod reference;
mod stories;
mod verdicts;
