//! The agent in a failing environment: a log that cannot be written, output that nobody
//! reads, hostile clients.

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
