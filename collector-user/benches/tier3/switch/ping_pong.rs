//! The shortest load on the switch path.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    thread,
    time::Instant,
};

/// Two threads on one CPU pass a byte back and forth. Returns nanoseconds per turn,
/// which is two switches.
pub(crate) fn ping_pong(turns: u32) -> f64 {
    let pipe = || -> (File, File) {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe can be made");
        (File::from(reader), File::from(writer))
    };
    let (mut ping_read, mut ping_write) = pipe();
    let (mut pong_read, mut pong_write) = pipe();
    let other = thread::spawn(move || {
        pin();
        let mut byte = [0];
        while ping_read.read(&mut byte).expect("it is open") == 1 {
            pong_write.write_all(&byte).expect("it is open");
        }
    });
    let turn = thread::spawn(move || {
        pin();
        let mut byte = [0];
        let start = Instant::now();
        for _ in 0..turns {
            ping_write.write_all(&byte).expect("it is open");
            pong_read.read_exact(&mut byte).expect("it is open");
        }
        start.elapsed().as_nanos() as f64 / f64::from(turns)
    });
    let took = turn.join().expect("it does not panic");
    other.join().expect("it does not panic");
    took
}

/// Pins this thread to the first CPU.
fn pin() {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(0);
    rustix::thread::sched_setaffinity(None, &cpus).expect("there is a first CPU");
}
