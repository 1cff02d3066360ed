//! Exporters.

mod http;
mod own;
pub mod prometheus;

pub use http::{HttpOptions, ServeError, Server};
pub use own::{Dropped, OwnCounters, Refused};
