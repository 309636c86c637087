//! A running cluster as the page sees it: watched objects become the diagram, the verdicts on checks and traces.

mod audit;
mod pod_state;
mod raw;
mod topology;
mod tracer;
mod watch;

pub(crate) use watch::watch;
