//! The rules of the bus, with the clock paused.

mod delivery;
mod failure;
mod model;
mod modes;
mod schedule;
mod snapshot;
mod support;
