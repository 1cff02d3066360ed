use std::{fs, io};

use aya::{
    Btf as AyaBtf, Ebpf, EbpfError, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, MapError, Queue, RingBuf},
    programs::{BtfTracePoint, Iter, ProgramError},
};
use collector_ebpf::{Cpu, CpuOffsets, CpuReading, PREEMPTIONS_MAX, TOUCHED_PAGE, Thread};

use super::{
    LoadError, LoadOptions, LoadReport, ProgramReport, ProgramState,
    btf::{Btf, BtfError},
    cpu_offsets,
    cpu_reader::{self, CpuReader},
    debug_log::DebugLog,
    known::Known,
    mapped::MappedArray,
    offsets::KernelOffsets,
    preemptions::Preemptions,
    read_cpus,
};

/// The compiled programs: built by `cargo xtask build-ebpf`.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("collector.bpf.o");

/// The kernel's own count of a task's waits.
pub(super) const RUN_DELAY: &str = "task_struct.sched_info.run_delay";

/// The programs on tracepoints, and what each one feeds. The first one is
/// needed by all others.
const TRACEPOINTS: [(&str, &str); 7] = [
    (
        "sched_switch",
        "cpu_stats, process_stats, sched_latency; exit in process_events",
    ),
    (WAKEUPS[0], WAKEUPS_FEED),
    (WAKEUPS[1], WAKEUPS_FEED),
    (
        "sched_process_fork",
        "fork, and exit of what is gone before the next tick, in process_events; new rows at once",
    ),
    (
        "sched_process_exec",
        "exec in process_events; new names at once",
    ),
    (
        "sched_process_exit",
        "exit_code, signal, core_dumped in process_events",
    ),
    ("cgroup_attach_task", "moves between cgroups at once"),
];

/// The programs that watch when tasks are woken: only of use where the kernel
/// does not keep [`RUN_DELAY`], since they cost about as much as the switch.
pub(super) const WAKEUPS: [&str; 2] = ["sched_wakeup", "sched_wakeup_new"];
const WAKEUPS_FEED: &str =
    "runqueue_ns, blocked_ns, wakeups; runqueue_wait and off_cpu in sched_latency";

/// The iterator, and what it feeds.
const ITERATOR: (&str, &str) = (
    "all_tasks",
    "processes that were there before; memory, I/O, owner",
);

/// The program that reads the CPUs, and what it feeds.
const READER: (&str, &str) = (
    cpu_reader::PROGRAM,
    "cpu_stats without /proc/stat; what a thread that has a CPU has used by now",
);

/// The program that counts tasks for [`READER`], and what it feeds.
const FORKS: (&str, &str) = ("task_newtask", "forks in cpu_stats without /proc/stat");

/// The ring buffer: some thousands of lifecycle events.
const EVENTS_BYTES: u32 = 1 << 20;

/// The table that remembers where the record of a task was found: 65,536
/// places of 4 bytes.
const RECENT_BYTES: u64 = 1 << 18;

/// Loaded and attached, with the maps ready to be read.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    pub(super) cpus: MappedArray<Cpu>,
    pub(super) threads: MappedArray<Thread>,
    pub(super) touched: MappedArray<[u8; TOUCHED_PAGE]>,
    pub(super) free: Queue<MapData, u32>,
    pub(super) events: RingBuf<MapData>,
    pub(super) preemptions: Preemptions,
    pub(super) cpu_reader: Option<CpuReader>,
    pub(super) known: Known,
    pub(super) report: LoadReport,
    pub(super) debug_log: Option<DebugLog>,
}

/// The sizes of the maps on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) cpus: u32,
    pub(super) threads: u32,
    pub(super) events_bytes: u32,
    pub(super) preemption_pairs: u32,
}

impl Sizes {
    /// Room for 16,384 threads a CPU, at least 65,536 and at most 262,144,
    /// but not for more than the kernel would make.
    pub(super) fn choose(possible_cpus: u32, pid_max: u32) -> Self {
        let wanted = possible_cpus.saturating_mul(16_384).clamp(65_536, 262_144);
        let threads = wanted.min(pid_max).max(TOUCHED_PAGE as u32);
        Self {
            cpus: possible_cpus,
            threads: threads.next_multiple_of(TOUCHED_PAGE as u32),
            events_bytes: EVENTS_BYTES,
            preemption_pairs: PREEMPTIONS_MAX as u32,
        }
    }

    /// What was asked for, instead of what suits the host.
    fn or_as_asked(self, options: &LoadOptions) -> Self {
        let page = TOUCHED_PAGE as u32;
        let records = |records: u32| records.clamp(page, u32::MAX / 2).next_multiple_of(page);
        Self {
            threads: options.thread_records.map_or(self.threads, records),
            events_bytes: options.events_bytes.unwrap_or(self.events_bytes),
            preemption_pairs: options.preemption_pairs.unwrap_or(self.preemption_pairs),
            ..self
        }
    }

    /// The kernel memory that the maps take, in bytes.
    ///
    /// - `CPUS`: a [`Cpu`] each. `CPU_TIMES`: a [`CpuReading`] each.
    /// - `THREADS`: a [`Thread`] each, and a byte in `TOUCHED`.
    /// - `THREAD_OF`: 64 bytes an element (`struct htab_elem` has 48, then key
    ///   and value of 8 each), and 16 bytes a bucket, of which there are as
    ///   many as elements, rounded up to a power of two.
    /// - `FREE`: 4 bytes each. `EVENTS`: its size.
    /// - `RECENT`: [`RECENT_BYTES`].
    /// - `PREEMPTIONS`: as `THREAD_OF`, with a key of 16 bytes.
    pub(super) fn bytes(self) -> u64 {
        let threads = u64::from(self.threads);
        let records = threads * (size_of::<Thread>() as u64 + 1);
        let pairs = u64::from(self.preemption_pairs);
        let lookup = threads * 64 + threads.next_power_of_two() * 16;
        u64::from(self.cpus) * (size_of::<Cpu>() + size_of::<CpuReading>()) as u64
            + records
            + lookup
            + threads * 4
            + u64::from(self.events_bytes)
            + RECENT_BYTES
            + pairs * (48 + 24)
            + pairs.next_power_of_two() * 16
    }
}

/// Loads and attaches all that this kernel takes.
pub(super) fn load(options: &LoadOptions) -> Result<Loaded, LoadError> {
    if !super::rights::may_load_programs() {
        return Err(LoadError::NoPermission);
    }
    if !super::rights::is_in_the_hosts_pid_namespace() {
        return Err(LoadError::PidNamespace);
    }
    let btf = Btf::of_this_kernel().map_err(|error| match error {
        BtfError::Io(error) if error.kind() == io::ErrorKind::NotFound => LoadError::NoBtf,
        error => LoadError::Other(error.to_string()),
    })?;
    let offsets = KernelOffsets::resolve(&btf, &options.pretend_missing)?;
    // In some 5.18 kernels the state of the previous task stood before it:
    // https://git.kernel.org/torvalds/c/9c2136be0878
    match btf.tracepoint_arguments("sched_switch").as_deref() {
        Some([_, true, true, ..]) => {}
        Some(_) => return Err(LoadError::Other(
            "this kernel passes other arguments to sched_switch than 5.10 and later do: update it"
                .to_owned(),
        )),
        None => {
            return Err(LoadError::Other(
                "this kernel has no tracepoint sched_switch".to_owned(),
            ));
        }
    }

    let sizes = Sizes::choose(possible_cpus()?, pid_max()).or_as_asked(options);
    let object = match &options.object {
        None => None,
        Some(path) => Some(fs::read(path).map_err(|error| {
            LoadError::Other(format!(
                "cannot read the object {}: {error}",
                path.display()
            ))
        })?),
    };
    let cpu_offsets = pretend(READER.0, options).and_then(|()| read_cpus::prepare(&btf));
    drop(btf);
    let mut ebpf = EbpfLoader::new()
        .override_global("FIELD_OFFSETS", offsets.words.as_slice(), true)
        .override_global(
            "CPU_OFFSETS",
            cpu_offsets::words(cpu_offsets.as_ref().unwrap_or(&CpuOffsets::UNKNOWN)).as_slice(),
            true,
        )
        .map_max_entries("CPUS", sizes.cpus)
        .map_max_entries("CPU_TIMES", sizes.cpus)
        .map_max_entries("THREADS", sizes.threads)
        .map_max_entries("THREAD_OF", sizes.threads)
        .map_max_entries("FREE", sizes.threads)
        .map_max_entries("TOUCHED", sizes.threads / TOUCHED_PAGE as u32)
        .map_max_entries("EVENTS", sizes.events_bytes)
        .map_max_entries("PREEMPTIONS", sizes.preemption_pairs)
        .load(object.as_deref().unwrap_or(OBJECT))
        .map_err(|error| describe(&error))?;

    let debug_log = DebugLog::of(&mut ebpf);
    let mut free: Queue<_, u32> =
        Queue::try_from(take(&mut ebpf, "FREE")?).map_err(|error| map_error(&error))?;
    for index in 0..sizes.threads {
        free.push(index, 0).map_err(|error| map_error(&error))?;
    }
    let kernel_btf = AyaBtf::from_sys_fs().map_err(|error| LoadError::Other(error.to_string()))?;
    let counts_waits = offsets.has(RUN_DELAY);
    let mut programs = attach_all(&mut ebpf, &kernel_btf, options, counts_waits)?;
    let reader = load_reader(&mut ebpf, &kernel_btf, options, cpu_offsets, &mut programs);
    drop(kernel_btf);

    let is_attached = |name: &str| {
        programs
            .iter()
            .any(|program| program.name == name && program.state == ProgramState::Attached)
    };
    let known = Known::of(&offsets, is_attached);
    let map =
        |ebpf: &mut Ebpf, name| -> Result<MapData, LoadError> { array(take(ebpf, name)?, name) };
    let mapped = |error: io::Error| {
        LoadError::Other(format!(
            "cannot map an array of the programs into memory: {error}"
        ))
    };
    let readings = map(&mut ebpf, "CPU_TIMES")?;
    let cpu_reader = match reader {
        Some((idle_in, counts_forks)) => {
            let readings = MappedArray::new(readings, sizes.cpus).map_err(mapped)?;
            Some(CpuReader::new(readings, idle_in, counts_forks))
        }
        None => None,
    };
    Ok(Loaded {
        cpu_reader,
        cpus: MappedArray::new(map(&mut ebpf, "CPUS")?, sizes.cpus).map_err(mapped)?,
        threads: MappedArray::new(map(&mut ebpf, "THREADS")?, sizes.threads).map_err(mapped)?,
        touched: MappedArray::new(
            map(&mut ebpf, "TOUCHED")?,
            sizes.threads / TOUCHED_PAGE as u32,
        )
        .map_err(mapped)?,
        events: RingBuf::try_from(take(&mut ebpf, "EVENTS")?).map_err(|error| map_error(&error))?,
        preemptions: Preemptions::new(
            HashMap::try_from(take(&mut ebpf, "PREEMPTIONS")?)
                .map_err(|error| map_error(&error))?,
            Array::try_from(take(&mut ebpf, "OTHER_PREEMPTIONS")?)
                .map_err(|error| map_error(&error))?,
        ),
        free,
        debug_log,
        known,
        report: LoadReport {
            programs,
            missing_fields: offsets.missing,
            facts: vec![
                ("possible CPUs".to_owned(), sizes.cpus.to_string()),
                ("thread records".to_owned(), sizes.threads.to_string()),
                (
                    "kernel memory of the maps".to_owned(),
                    format!("{:.1} MiB", sizes.bytes() as f64 / 1_048_576.0),
                ),
            ],
        },
        ebpf,
    })
}

/// Loads and attaches each program on its own, so that one that the kernel
/// refuses turns off only what it feeds.
fn attach_all(
    ebpf: &mut Ebpf,
    btf: &AyaBtf,
    options: &LoadOptions,
    counts_waits: bool,
) -> Result<Vec<ProgramReport>, LoadError> {
    let mut programs = Vec::new();
    for (name, feeds) in TRACEPOINTS {
        let hook = format!("tp_btf/{name}");
        if counts_waits && WAKEUPS.contains(&name) {
            programs.push(ProgramReport {
                name,
                hook,
                state: ProgramState::Unneeded {
                    reason: "this kernel counts the waits of each task itself",
                },
                feeds,
            });
            continue;
        }
        let result = pretend(name, options).and_then(|()| attach(ebpf, btf, name));
        programs.push(report(name, hook, feeds, result));
    }
    let (name, feeds) = ITERATOR;
    let result = pretend(name, options).and_then(|()| {
        let program: &mut Iter = ebpf
            .program_mut(name)
            .ok_or("it is not in the object")?
            .try_into()
            .map_err(|error: ProgramError| error.to_string())?;
        program.load("task", btf).map_err(|error| refused(&error))
    });
    programs.push(report(name, "iter/task".to_owned(), feeds, result));
    for needed in [TRACEPOINTS[0].0, ITERATOR.0] {
        for program in &programs {
            if program.name == needed
                && let ProgramState::Off { reason } = &program.state
            {
                return Err(LoadError::Program {
                    name: needed,
                    reason: reason.clone(),
                });
            }
        }
    }
    Ok(programs)
}

/// Loads a program and attaches it to the tracepoint of the same name.
fn attach(ebpf: &mut Ebpf, btf: &AyaBtf, name: &str) -> Result<(), String> {
    let program: &mut BtfTracePoint = ebpf
        .program_mut(name)
        .ok_or("it is not in the object")?
        .try_into()
        .map_err(|error: ProgramError| error.to_string())?;
    program.load(name, btf).map_err(|error| refused(&error))?;
    program.attach().map_err(|error| refused(&error))?;
    Ok(())
}

/// Loads the program that reads the CPUs, and the one that counts tasks for
/// it. Returns where the idle time is, if the first can be run, and whether
/// the second is.
fn load_reader(
    ebpf: &mut Ebpf,
    btf: &AyaBtf,
    options: &LoadOptions,
    offsets: Result<CpuOffsets, String>,
    programs: &mut Vec<ProgramReport>,
) -> Option<(u32, bool)> {
    let loaded = offsets.and_then(|offsets| {
        read_cpus::load(ebpf)?;
        Ok(offsets.idle_in)
    });
    let idle_in = loaded.as_ref().ok().copied();
    let (name, feeds) = READER;
    programs.push(report(
        name,
        format!("raw_tp/{name}"),
        feeds,
        loaded.map(|_idle_in| ()),
    ));
    let (name, feeds) = FORKS;
    let hook = format!("tp_btf/{name}");
    let Some(idle_in) = idle_in else {
        programs.push(ProgramReport {
            name,
            hook,
            state: ProgramState::Unneeded {
                reason: "/proc/stat tells how many tasks were made",
            },
            feeds,
        });
        return None;
    };
    let result = pretend(name, options).and_then(|()| attach(ebpf, btf, name));
    let counts_forks = result.is_ok();
    programs.push(report(name, hook, feeds, result));
    Some((idle_in, counts_forks))
}

fn pretend(name: &str, options: &LoadOptions) -> Result<(), String> {
    if options
        .pretend_missing
        .iter()
        .any(|missing| missing == name)
    {
        return Err("it was asked for to be left out".to_owned());
    }
    Ok(())
}

fn report(
    name: &'static str,
    hook: String,
    feeds: &'static str,
    result: Result<(), String>,
) -> ProgramReport {
    let state = match result {
        Ok(()) => ProgramState::Attached,
        Err(reason) => ProgramState::Off { reason },
    };
    ProgramReport {
        name,
        hook,
        state,
        feeds,
    }
}

/// Why the kernel refused a program, in one line; the verifier's log, which
/// is many, goes to the debug log.
pub(super) fn refused(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            tracing::debug!(log, "the verifier refused a program");
            format!(
                "the kernel refused it: {io_error}{}",
                verdict_of(&log)
                    .map(|line| format!(" ({line})"))
                    .unwrap_or_default()
            )
        }
        ProgramError::SyscallError(error) => format!("{}: {}", error.call, error.io_error),
        error => error.to_string(),
    }
}

/// The line of the verifier's log that says why: the last one before those on
/// what the check took (`print_verification_stats` of `kernel/bpf/verifier.c`).
fn verdict_of(log: &str) -> Option<&str> {
    const STATISTICS: [&str; 4] = [
        "processed ",
        "stack depth ",
        "verification time ",
        "subprog ",
    ];
    log.lines().rev().find(|line| {
        !line.is_empty()
            && !STATISTICS
                .iter()
                .any(|statistic| line.starts_with(statistic))
    })
}

fn describe(error: &EbpfError) -> LoadError {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    let mut text = error.to_string();
    while let Some(inner) = source {
        if let Some(io_error) = inner.downcast_ref::<io::Error>()
            && io_error.kind() == io::ErrorKind::PermissionDenied
        {
            return LoadError::Refused;
        }
        text = inner.to_string();
        source = inner.source();
    }
    LoadError::Other(format!("cannot load the eBPF programs: {error}: {text}"))
}

fn map_error(error: &MapError) -> LoadError {
    LoadError::Other(format!("a map of the programs cannot be used: {error}"))
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, LoadError> {
    ebpf.take_map(name)
        .ok_or_else(|| LoadError::Other(format!("the object has no map {name}")))
}

fn array(map: Map, name: &str) -> Result<MapData, LoadError> {
    match map {
        Map::Array(data) => Ok(data),
        _ => Err(LoadError::Other(format!("the map {name} is not an array"))),
    }
}

/// One more than the highest number that a CPU of this host can have.
fn possible_cpus() -> Result<u32, LoadError> {
    const PATH: &str = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(PATH)
        .map_err(|error| LoadError::Other(format!("cannot read {PATH}: {error}")))?;
    text.trim()
        .rsplit([',', '-'])
        .next()
        .and_then(|highest| highest.parse::<u32>().ok())
        .map(|highest| highest.saturating_add(1))
        .ok_or_else(|| LoadError::Other(format!("{PATH}: {:?} is not a list of CPUs", text.trim())))
}

/// The highest number that a thread can have.
fn pid_max() -> u32 {
    fs::read_to_string("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_the_line_before_the_statistics() {
        // As 7.3 has it.
        let log = "117: (61) r1 = *(u32 *)(r1 +0)\n\
            access beyond the end of member on_cpu (mend:53) in struct task_struct with off 52 size 4\n\
            verification time 12530 usec\n\
            stack depth max 0\n\
            subprog 0 (all_tasks) main insns_self 109 insns_total 109 stack 8\n\
            processed 109 insns (limit 1000000) max_states_per_insn 0\n";
        let verdict = verdict_of(log).expect("there is one");
        assert!(verdict.starts_with("access beyond"), "{verdict}");
        assert_eq!(verdict_of("processed 1 insns\n"), None);
    }

    #[test]
    fn the_maps_fit_their_budgets() {
        let small = Sizes::choose(2, 4_194_304);
        assert_eq!(small.threads, 65_536);
        assert!(
            small.bytes() <= 16 << 20,
            "{} bytes on 2 CPUs",
            small.bytes()
        );
        let large = Sizes::choose(256, 4_194_304);
        assert_eq!(large.threads, 262_144);
        assert!(
            large.bytes() <= 64 << 20,
            "{} bytes on 256 CPUs",
            large.bytes()
        );
    }

    #[test]
    fn what_is_asked_for_is_rounded_to_what_the_maps_can_have() {
        let asked = |thread_records| {
            let options = LoadOptions {
                thread_records: Some(thread_records),
                ..LoadOptions::default()
            };
            Sizes::choose(2, 4_194_304).or_as_asked(&options).threads
        };
        assert_eq!(asked(0), TOUCHED_PAGE as u32);
        assert_eq!(asked(5_000), 2 * TOUCHED_PAGE as u32);
        assert_eq!(asked(u32::MAX) % TOUCHED_PAGE as u32, 0);
    }

    #[test]
    fn no_more_records_than_the_kernel_makes_threads() {
        assert_eq!(Sizes::choose(2, 32_768).threads, 32_768);
        assert_eq!(Sizes::choose(2, 301).threads, TOUCHED_PAGE as u32);
        assert_eq!(Sizes::choose(2, 33_000).threads % TOUCHED_PAGE as u32, 0);
    }
}
