//! The kind of this machine, without anything that identifies it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::report::Machine;

pub(crate) fn describe() -> Machine {
    let cpuinfo = text("/proc/cpuinfo").unwrap_or_default();
    Machine {
        cpu_model: field(&cpuinfo, "model name").map(str::to_owned),
        cpus: thread::available_parallelism()
            .ok()
            .map(|cpus| cpus.get() as u64),
        memory_bytes: text("/proc/meminfo").and_then(|meminfo| {
            let (kib, _unit) = field(&meminfo, "MemTotal")?.split_once(' ')?;
            Some(kib.parse::<u64>().ok()? * 1024)
        }),
        kernel: text("/proc/sys/kernel/osrelease"),
        hz: hz(),
        clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        // Only x86 has this line, and a hypervisor sets the flag.
        virtualised: field(&cpuinfo, "flags")
            .map(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        load_before: text("/proc/loadavg").and_then(|load| load.split(' ').next()?.parse().ok()),
    }
}

/// The frequency of the timer interrupt, from the kernel's count of it.
fn hz() -> Option<u64> {
    let ticks = || -> Option<u64> {
        let list = text("/proc/timer_list")?;
        field(&list, "jiffies")?.parse().ok()
    };
    let (start, before) = (Instant::now(), ticks()?);
    thread::sleep(Duration::from_millis(500));
    let counted = (ticks()? - before) as f64 / start.elapsed().as_secs_f64();
    // The choices in kernel/Kconfig.hz.
    [100, 250, 300, 1000]
        .into_iter()
        .min_by_key(|&hz| (counted - f64::from(hz as u32)).abs() as u64)
}

/// The value of the first line `name:`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}
