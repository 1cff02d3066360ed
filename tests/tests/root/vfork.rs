//! Children that have their parent's memory and hold it up: `vfork`.

use collector_tests::{burn_cpu_ms, fork, raw_vfork};

use crate::support::{assert_charged_as_by_wait4, end_of, load_and_record};

#[test]
fn a_child_of_vfork_is_charged_separately() {
    let (_accountant, recorder) = load_and_record();
    // SAFETY: it makes system calls only.
    let parent = unsafe { fork(0, None, burn_and_make_a_child) }.expect("it starts");
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
    // It has not reaped its child, whose time is in none of its totals.
    assert_charged_as_by_wait4(&exit, &usage);
}

fn burn_and_make_a_child() {
    burn_cpu_ms(20);
    // SAFETY: it makes system calls only.
    if unsafe { raw_vfork(burn_and_end) }.is_err() {
        // SAFETY: it ends this process.
        unsafe { libc::_exit(1) };
    }
}

extern "C" fn burn_and_end(_: *mut std::ffi::c_void) -> i32 {
    burn_cpu_ms(50);
    // SAFETY: it ends this process.
    unsafe { libc::_exit(3) }
}
