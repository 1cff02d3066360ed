//! Many idle processes, and some that run briefly every ten milliseconds.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The first argument of the process that forks the others.
pub(crate) const WORD: &str = "population";

/// The processes, which are killed when this is dropped.
pub(crate) struct Population(Child);

impl Population {
    /// Forks the processes, and waits until all exist.
    pub(crate) fn new(idle: usize, active: usize) -> Self {
        let program = std::env::current_exe().expect("the path of this program is known");
        let mut maker = Command::new(program)
            .args([WORD, &idle.to_string(), &active.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = maker.stdout.as_mut().expect("it is a pipe");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says that it is ready");
        assert_eq!(line, "ready\n", "not all processes could be made");
        Self(maker)
    }
}

impl Drop for Population {
    fn drop(&mut self) {
        // It kills its children and exits at the end of its standard input.
        drop(self.0.stdin.take());
        let _status = self.0.wait();
    }
}

/// The process that forks the others. It has one thread, so that its children may
/// continue after `fork` without `execve`.
pub(crate) fn main(idle: &str, active: &str) {
    let idle: usize = idle.parse().expect("it is a number");
    let active: usize = active.parse().expect("it is a number");
    let all = idle + active;
    let mut children = Vec::with_capacity(all);
    for number in 0..all {
        // SAFETY: this process has one thread.
        match unsafe { libc::fork() } {
            // The active processes are evenly distributed among the idle ones.
            0 => child((number + 1) * active / all > number * active / all),
            -1 => break,
            pid => children.push(pid),
        }
    }
    let is_ready = children.len() == all;
    println!("{}", if is_ready { "ready" } else { "failed" });
    std::io::stdout().flush().expect("someone listens");
    let mut line = String::new();
    let _ended = std::io::stdin().read_line(&mut line);
    for pid in &children {
        // SAFETY: the call takes no pointer, and the child was not waited for.
        unsafe { libc::kill(*pid, libc::SIGKILL) };
    }
    for pid in children {
        // SAFETY: no status is asked for.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }
}

fn child(is_active: bool) -> ! {
    // SAFETY: the call has no memory to go wrong with. Should the maker be
    // killed, its children end too.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    loop {
        if is_active {
            std::thread::sleep(Duration::from_millis(10));
        } else {
            // SAFETY: the call has no argument.
            unsafe { libc::pause() };
        }
    }
}
