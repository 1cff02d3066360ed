//! Trees of another root, where the kernel does not help.

use std::{
    fs, io,
    os::unix::{fs::symlink, process::CommandExt as _},
};

use collector_tests::agent;

/// Makes `openat2` fail for this process and its children, as the seccomp
/// filters of container runtimes do that do not know the call.
fn without_openat2(errno: u32) -> io::Result<()> {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut filter = [
        // The number of the call is the first field of `seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: libc::SYS_openat2 as u32,
        },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: `len` is the number of instructions of the filter, which lives until the
    // system calls have returned.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) != 0
    };
    if failed {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[test]
fn without_openat2_a_tree_is_rejected_and_no_link_is_followed() {
    let outside = tempfile::tempdir().expect("a folder");
    let secret = outside.path().join("secret");
    fs::write(&secret, "the-secret\n").expect("it is written");
    let tree = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(tree.path().join("proc/sys/kernel")).expect("a folder");
    symlink(&secret, tree.path().join("proc/sys/kernel/hostname")).expect("a link");
    for errno in [libc::ENOSYS, libc::EPERM] {
        for command in ["snapshot", "doctor"] {
            let mut agent = agent().expect("the agent");
            agent.args([command, "--root"]).arg(tree.path());
            // SAFETY: between fork and exec, only system calls are made, with
            // pointers to the stack of the child.
            unsafe {
                agent.pre_exec(move || without_openat2(errno as u32));
            }
            let output = agent.output().expect("it starts");
            assert_eq!(output.status.code(), Some(2), "{command}: {output:?}");
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(!text.contains("the-secret"), "{text}");
            assert!(
                text.contains("openat2") && text.contains("Linux 5.6"),
                "{text}"
            );
        }
    }
}
