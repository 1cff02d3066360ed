//! How readings leave the agent.

mod http;
pub mod prometheus;

pub use http::{ServeError, Server};
