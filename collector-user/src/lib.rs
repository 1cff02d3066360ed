//! An eBPF-assisted kernel-event collector for Linux hosts.
//!
//! A [`bus::Bus`] owns every collector, reads each kernel source once, and
//! publishes [`metric::Sample`]s to many subscribers, each at the pace that it
//! asked for. What changes fast is accounted in the kernel by eBPF programs;
//! what changes slowly is read from `/proc` and `/sys`.
//!
//! The modules depend on each other one way:
//! `cli` → `agent`, `manager`, `export` → `bus` → `collector` → `source`, and
//! [`metric`], the data, depends on none of them.

// They panic when the text cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

// So that the derive macros name this crate alike inside and outside of it.
extern crate self as collector;

pub mod agent;
pub mod bus;
pub mod collectors;
pub mod config;
pub mod export;
pub mod manager;
pub mod metric;
pub mod source;
pub mod text;
