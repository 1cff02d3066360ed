//! Children that have their parent's memory and hold it up: `vfork`.

use collector_tests::{burn_cpu_ms, fork, raw_vfork};

use crate::support::{assert_close, end_of, load_and_record};

#[test]
fn a_child_made_by_vfork_is_charged_by_itself() {
    let (_scheduler, recorder) = load_and_record();
    // SAFETY: it makes system calls only.
    let parent = unsafe { fork(0, None, burn_and_wait_for_a_child) }.expect("it starts");
    let pid = parent.pid();
    let (exit, usage) = end_of(&recorder, parent);
    assert_eq!(exit.exit_code, Some(0));
    let recorded = recorder.recorded();
    let children: Vec<_> = recorded
        .exits
        .iter()
        .filter(|exit| exit.ppid == Some(pid))
        .collect();
    let [child] = &children[..] else {
        panic!("one child, and not {children:?}");
    };
    assert_eq!(child.exit_code, Some(3));
    assert!(recorded.forks.iter().any(|fork| fork.pid == child.pid));
    assert!(child.cpu_ns >= Some(50_000_000), "{child:?}");
    assert!(exit.cpu_ns >= Some(20_000_000), "{exit:?}");
    // The parent took its child's end before that had left its CPU.
    let both = exit.cpu_ns.unwrap_or(0) + child.cpu_ns.unwrap_or(0);
    assert_close("both", both, usage.cpu.as_nanos() as u64, 0.005, 200_000);
}

fn burn_and_wait_for_a_child() {
    burn_cpu_ms(20);
    // SAFETY: it makes system calls only.
    let made = unsafe { raw_vfork(burn_and_end) };
    let mut status = 0;
    // SAFETY: the pointer is to a value of this function.
    let waited = unsafe { libc::wait(&raw mut status) };
    if made.is_err() || waited < 0 {
        // SAFETY: it ends this process.
        unsafe { libc::_exit(1) };
    }
}

extern "C" fn burn_and_end(_: *mut std::ffi::c_void) -> i32 {
    burn_cpu_ms(50);
    // SAFETY: it ends this process.
    unsafe { libc::_exit(3) }
}
