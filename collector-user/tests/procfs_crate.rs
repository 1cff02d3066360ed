//! Why some files of `/proc` have parsers of their own, and not those of the crate
//! `procfs-core`: decision 0012. Each test is an input on which the crate's parser does not
//! hold up. When one fails after an update of the crate, its parser may be the better one.

use std::panic::{UnwindSafe, catch_unwind};

use procfs_core::{
    CpuInfo, CpuPressure, DiskStats, ExplicitSystemInfo, FromRead, FromReadSI as _, KernelStats,
    Meminfo, Uptime, net::InterfaceDeviceStatus, process::Stat,
};

/// Whether the crate's parser panics.
fn panics<T>(parse: impl FnOnce() -> T + UnwindSafe) -> bool {
    catch_unwind(|| drop(parse())).is_err()
}

fn parse<T: FromRead>(text: &str) -> Option<T> {
    T::from_read(text.as_bytes()).ok()
}

#[test]
fn meminfo_needs_fields_that_a_container_does_not_have_and_panics_on_large_values() {
    // lxcfs and gVisor show a part of the fields.
    assert!(parse::<Meminfo>("MemTotal: 1 kB\nMemFree: 1 kB\n").is_none());
    assert!(panics(|| parse::<Meminfo>(
        "MemTotal: 18446744073709551615 kB\n"
    )));
    assert!(panics(|| parse::<Meminfo>("é 1 kB\n")));
}

#[test]
fn stat_loses_the_numbers_of_the_cpus() {
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 100,
        page_size: 4096,
        is_little_endian: true,
    };
    let parse = |text: &str| KernelStats::from_read(text.as_bytes(), &system);
    // CPU 1 is offline. The times of CPU 2 are at the index 1.
    let cpus = "cpu  3 0 0 0\ncpu0 1 0 0 0\ncpu2 2 0 0 0\n";
    let stat = parse(&format!("{cpus}ctxt 1\nbtime 1\nprocesses 1\n")).unwrap();
    assert_eq!(stat.cpu_time[1].user, 2);
    // A missing single value makes all CPU times unknown.
    assert!(parse(&format!("{cpus}ctxt 1\nprocesses 1\n")).is_err());
}

#[test]
fn cpuinfo_loses_the_numbers_of_the_cpus_and_those_of_s390() {
    let cpus: CpuInfo = parse("processor\t: 0\nmodel name\t: A\n\nprocessor\t: 3\n").unwrap();
    assert_eq!(cpus.get_field(1, "processor"), Some("3"));
    assert_eq!(cpus.get_field(3, "processor"), None);
    let s390 = "vendor_id       : IBM/S390\nprocessor 0: version = FF,  machine = 3931\n\
                processor 1: version = FF,  machine = 3931\n\n";
    assert_ne!(parse::<CpuInfo>(s390).map_or(0, |cpus| cpus.num_cores()), 2);
}

#[test]
fn uptime_needs_the_idle_time_and_accepts_what_is_not_a_time() {
    assert!(parse::<Uptime>("1.50\n").is_none());
    assert!(parse::<Uptime>("nan nan\n").unwrap().uptime.is_nan());
    assert!(parse::<Uptime>("-1.5 0\n").unwrap().uptime < 0.0);
}

#[test]
fn the_stat_of_a_process_panics_on_a_truncated_line() {
    assert!(panics(|| parse::<Stat>(")(")));
    assert!(panics(|| parse::<Stat>("1 (a)")));
}

#[test]
fn the_pressure_of_the_cpus_needs_a_line_that_kernels_before_5_13_do_not_have() {
    let some = "some avg10=4.50 avg60=0.91 avg300=0.00 total=681245\n";
    assert!(parse::<CpuPressure>(some).is_none());
    assert!(panics(|| parse::<CpuPressure>("some")));
}

/// Metrics that are still to come can use these.
#[test]
fn diskstats_and_net_dev_hold_up() {
    let disks: DiskStats = parse("254 0 vda 1 2 3 4 5 6 7 8 9 10 11\n").unwrap();
    assert_eq!((disks.0[0].major, disks.0[0].flushes), (254, None));
    assert!(parse::<DiskStats>("254 0 vda 1 2 three").is_none());
    let header = "Inter-|   Receive\n face |bytes\n";
    let line = "  eth0: 18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    let devices: InterfaceDeviceStatus = parse(&format!("{header}{line}")).unwrap();
    assert_eq!(devices.0["eth0"].recv_bytes, u64::MAX);
    assert!(parse::<InterfaceDeviceStatus>(&format!("{header}  eth0: 1 2")).is_none());
}
