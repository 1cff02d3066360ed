//! The agent where something under it does not work as it should: a log that
//! cannot be written, an output that nobody reads, clients that mean no good.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers outside of a test function are tests too"
)]

mod http;
mod log;
mod stop;
mod support;
#[path = "../common/tree.rs"]
mod tree;
