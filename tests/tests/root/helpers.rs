//! What other tests run as child processes: see `collector_tests::helper`.

use std::{process::Command, thread};

use collector_tests::burn_cpu_ms;

/// Burns 300 ms of CPU.
#[test]
#[ignore = "run by other tests as a child process"]
fn burn() {
    burn_cpu_ms(300);
}

/// Burns CPU until it is killed.
#[test]
#[ignore = "run by other tests as a child process"]
fn burn_for_ever() {
    burn_cpu_ms(u64::MAX / 2);
}

/// Burns 100 ms of CPU in each of four threads, one after the other, so that
/// the time of ended threads counts too.
#[test]
#[ignore = "run by other tests as a child process"]
fn burn_in_threads() {
    for _ in 0..4 {
        thread::spawn(|| burn_cpu_ms(100))
            .join()
            .expect("the thread does not panic");
    }
}

/// Another program, called from a thread that is not the leading one: that
/// thread takes over the number of the process.
#[test]
#[ignore = "run by other tests as a child process"]
fn exec_from_a_thread() {
    use std::os::unix::process::CommandExt as _;
    burn_cpu_ms(50);
    thread::spawn(|| {
        burn_cpu_ms(50);
        let program = std::env::current_exe().expect("the path is known");
        let error = Command::new(program)
            .args(["--exact", "helpers::burn", "--ignored", "--test-threads=1"])
            .exec();
        panic!("{error}");
    })
    .join()
    .expect("the thread does not return");
}
