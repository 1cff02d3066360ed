//! The rules of the bus, with the clock paused.

mod budget;
mod delivery;
mod end;
mod failure;
mod model;
mod modes;
mod not_started;
mod replay;
mod schedule;
mod snapshot;
mod stress;
mod support;
mod window;
