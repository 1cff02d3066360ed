//! The records that the eBPF programs of `collector` share with user space.
#![no_std]
