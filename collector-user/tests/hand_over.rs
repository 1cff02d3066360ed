//! The hand-over of samples from the bus to a subscriber, in every order in
//! which its steps can happen. Loom takes the place of the locks and threads.

#![expect(
    dead_code,
    reason = "the file is a module of the bus, which uses all of it"
)]

#[path = "../src/bus/mailbox.rs"]
mod mailbox;

mod sync {
    use std::sync::PoisonError;

    pub(super) use loom::sync::{Mutex, MutexGuard};

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use std::{future::poll_fn, num::NonZeroUsize};

use loom::{future::block_on, sync::Arc, thread};
use mailbox::{Mailbox, Taken};

fn mailbox(limit: usize) -> Arc<Mailbox<u64>> {
    Arc::new(Mailbox::new(
        NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN),
    ))
}

fn take(mailbox: &Mailbox<u64>) -> Option<Taken<u64>> {
    block_on(poll_fn(|context| mailbox.poll_take(context)))
}

/// Every order in which a thread is interrupted at most three times: those
/// beyond take many times as long.
fn bounded(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

#[test]
fn a_reader_that_waits_is_woken() {
    loom::model(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let writes = thread::spawn(move || writer.put(1));
        let taken = take(&reader);
        assert_eq!(taken, Some(Taken { item: 1, missed: 0 }));
        writes.join().unwrap();
    });
}

#[test]
fn a_reader_that_waits_is_told_the_end() {
    loom::model(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let ends = thread::spawn(move || writer.end());
        assert_eq!(take(&reader), None);
        ends.join().unwrap();
    });
}

#[test]
fn what_was_put_in_before_the_end_is_taken_before_it() {
    loom::model(|| {
        let reader = mailbox(2);
        let writer = Arc::clone(&reader);
        let writes = thread::spawn(move || {
            writer.put(1);
            writer.put(2);
            writer.end();
        });
        assert_eq!(take(&reader).unwrap().item, 1);
        assert_eq!(take(&reader).unwrap().item, 2);
        assert_eq!(take(&reader), None);
        writes.join().unwrap();
    });
}

#[test]
fn what_is_received_and_what_is_missed_adds_up() {
    bounded(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let writes = thread::spawn(move || {
            let mut lost = 0;
            for item in 1..=3 {
                lost += writer.put(item);
            }
            writer.end();
            lost
        });
        let (mut last, mut missed) = (0, 0);
        while let Some(taken) = take(&reader) {
            missed += taken.missed;
            assert_eq!(taken.item, last + 1 + taken.missed);
            last = taken.item;
        }
        assert_eq!(last, 3);
        assert_eq!(writes.join().unwrap(), missed);
    });
}

#[test]
fn two_writers_do_not_lose_what_the_other_put_in() {
    bounded(|| {
        let reader = mailbox(2);
        let writers: Vec<_> = (1..=2)
            .map(|item| {
                let writer = Arc::clone(&reader);
                thread::spawn(move || writer.put(item))
            })
            .collect();
        let sum = take(&reader).unwrap().item + take(&reader).unwrap().item;
        assert_eq!(sum, 3);
        for writer in writers {
            assert_eq!(writer.join().unwrap(), 0);
        }
    });
}

#[test]
fn a_mailbox_that_is_closed_while_it_is_written_to_holds_nothing() {
    loom::model(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let item = Arc::new(());
        let held = Arc::clone(&item);
        let inbox = Arc::new(Mailbox::new(NonZeroUsize::MIN));
        let outbox = Arc::clone(&inbox);
        let writes = thread::spawn(move || {
            writer.put(1);
            outbox.put(held);
        });
        inbox.close();
        writes.join().unwrap();
        assert_eq!(Arc::strong_count(&item), 1);
    });
}
