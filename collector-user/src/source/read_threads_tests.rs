use std::sync::{
    Barrier,
    mpsc::{self, Receiver, Sender},
};

use super::*;

type Read = Box<dyn FnOnce() + Send>;

/// A read that blocks until the sender is dropped.
fn blocked() -> (Sender<()>, Read) {
    let (release, hang) = mpsc::channel();
    (release, blocked_by(hang))
}

fn blocked_by(hang: Receiver<()>) -> Read {
    Box::new(move || {
        let _released = hang.recv();
    })
}

/// A read that says when it was done.
fn told(done: &Sender<u32>, number: u32) -> Read {
    let done = done.clone();
    Box::new(move || {
        let _nobody_listens = done.send(number);
    })
}

/// Waits until so many threads are blocked. On a busy host a read that does
/// nothing may seem blocked for a while.
fn until_blocked(threads: &ReadThreads, wanted: usize) {
    while threads.blocked() != wanted {
        std::thread::yield_now();
    }
}

#[test]
fn every_read_is_done_once() {
    let threads = ReadThreads::default();
    let client = threads.client();
    let (done, results) = mpsc::channel();
    let reads = (0..1000).map(|number| (Some(number % 7), told(&done, number)));
    threads.submit(client, reads).unwrap();
    threads.wait(client);
    // In order, unless a busy host lets one seem blocked.
    let mut numbers: Vec<u32> = results.iter().take(1000).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..1000));
    until_blocked(&threads, 0);
    assert!(results.try_recv().is_err());
}

#[test]
fn a_read_that_blocks_does_not_keep_others_from_being_done() {
    let threads = ReadThreads::default();
    let client = threads.client();
    let (done, results) = mpsc::channel();
    let (release, read) = blocked();
    let others = (0..100).map(|number| (Some(2), told(&done, number)));
    let reads = std::iter::once((Some(1), read)).chain(others);
    threads.submit(client, reads).unwrap();
    threads.wait(client);
    assert_eq!(results.iter().take(100).count(), 100);
    until_blocked(&threads, 1);
    assert!(threads.late_reads() >= 1);
    drop(release);
    until_blocked(&threads, 0);
    threads.submit(client, [(Some(1), told(&done, 7))]).unwrap();
    threads.wait(client);
    assert_eq!(results.recv(), Ok(7));
}

#[test]
fn one_user_blocks_no_more_threads_than_may_be_and_others_go_on() {
    let threads = ReadThreads::default();
    let client = threads.client();
    let (done, results) = mpsc::channel();
    let (releases, hanging): (Vec<_>, Vec<_>) = (0..50).map(|_| blocked()).unzip();
    let hanging = hanging.into_iter().map(|read| (Some(1), read));
    threads.submit(client, hanging).unwrap();
    threads.wait(client);
    let others = (0..100).map(|number| (Some(2), told(&done, number)));
    threads.submit(client, others).unwrap();
    threads.wait(client);
    assert_eq!(results.iter().take(100).count(), 100);
    until_blocked(&threads, MAX_BLOCKED_OF_USER);
    // When they return, the others of that user have their turn.
    drop(releases);
    threads.submit(client, [(Some(1), told(&done, 1))]).unwrap();
    assert_eq!(results.recv(), Ok(1));
}

#[test]
fn where_all_threads_are_blocked_nobody_waits() {
    let threads = ReadThreads::default();
    let client = threads.client();
    let users = MAX_THREADS / MAX_BLOCKED_OF_USER + 1;
    let mut releases = Vec::new();
    let mut reads = Vec::new();
    for user in 0..users as u32 {
        for _ in 0..MAX_BLOCKED_OF_USER {
            let (release, read) = blocked();
            releases.push(release);
            reads.push((Some(user), read));
        }
    }
    threads.submit(client, reads).unwrap();
    threads.wait(client);
    let (done, results) = mpsc::channel();
    threads.submit(client, [(None, told(&done, 1))]).unwrap();
    threads.wait(client);
    assert_eq!(threads.blocked(), MAX_THREADS);
    assert!(results.try_recv().is_err());
    drop(releases);
    assert_eq!(results.recv(), Ok(1));
}

#[test]
fn one_client_does_not_wait_for_another() {
    let threads = ReadThreads::default();
    let (patient, other) = (threads.client(), threads.client());
    let (release, read) = blocked();
    threads.submit(patient, [(None, read)]).unwrap();
    // There is nothing of this client: this returns at once.
    threads.wait(other);
    drop(release);
    threads.wait(patient);
    until_blocked(&threads, 0);
}

#[test]
fn a_read_that_panics_costs_its_result_only() {
    let threads = ReadThreads::default();
    let client = threads.client();
    let (done, results) = mpsc::channel();
    let reads: [(Option<u32>, Read); 2] = [
        (None, Box::new(|| std::panic::resume_unwind(Box::new(())))),
        (None, told(&done, 1)),
    ];
    threads.submit(client, reads).unwrap();
    threads.wait(client);
    assert_eq!(results.recv(), Ok(1));
}

#[test]
fn the_threads_end_with_the_last_handle_and_drop_what_waits() {
    let threads = ReadThreads::default();
    let client = threads.client();
    let began = Arc::new(Barrier::new(2));
    let (release, hang) = mpsc::channel::<()>();
    let first: Read = {
        let began = Arc::clone(&began);
        Box::new(move || {
            began.wait();
            let _released = hang.recv();
        })
    };
    let (done, results) = mpsc::channel();
    threads
        .submit(client, [(None, first), (None, told(&done, 1))])
        .unwrap();
    began.wait();
    drop((threads, done));
    // The read that waited is dropped, and with it the last sender.
    assert!(results.recv().is_err());
    drop(release);
}
