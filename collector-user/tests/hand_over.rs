//! The hand-over of samples from the bus to a subscriber, in every interleaving, with the
//! locks and threads of loom.

#![expect(
    dead_code,
    reason = "the file is a module of the feed, which uses all of it"
)]

#[path = "../src/feed/mailbox.rs"]
mod mailbox;

use collector::metric;

mod sync {
    use std::sync::PoisonError;

    pub(super) use loom::sync::{Mutex, MutexGuard};

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use std::{future::poll_fn, num::NonZeroUsize};

use loom::{future::block_on, sync::Arc, thread};
use mailbox::{Limit, Mailbox, Taken};
use metric::Missed;

type Inbox = Mailbox<u64, &'static str>;

/// A mailbox with a limit of samples of one byte each, and a limit of bytes.
fn limited(count: usize, bytes: usize) -> Inbox {
    Mailbox::new(Limit {
        count: NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN),
        bytes,
    })
}

fn mailbox(limit: usize) -> Arc<Inbox> {
    Arc::new(limited(limit, usize::MAX))
}

fn put(mailbox: &Inbox, item: u64) -> u64 {
    mailbox.put(item, 1, Missed::NONE, usize::MAX)
}

fn take(mailbox: &Inbox) -> Taken<u64, &'static str> {
    block_on(poll_fn(|context| mailbox.poll_take(context)))
}

fn item(item: u64, missed: u64) -> Taken<u64, &'static str> {
    Taken::Item {
        item,
        missed: Missed::by_subscriber(missed),
    }
}

/// Every order in which a thread is interrupted at most three times: those
/// beyond take many times as long.
fn bounded(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

#[test]
fn a_waiting_reader_is_woken() {
    loom::model(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let writes = thread::spawn(move || put(&writer, 1));
        assert_eq!(take(&reader), item(1, 0));
        writes.join().unwrap();
    });
}

#[test]
fn a_waiting_reader_gets_the_end() {
    loom::model(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let ends = thread::spawn(move || writer.end("over"));
        assert_eq!(take(&reader), Taken::End(Some("over")));
        ends.join().unwrap();
    });
}

#[test]
fn a_waiting_reader_gets_the_missed_count_without_a_later_sample() {
    loom::model(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let loses = thread::spawn(move || writer.miss(Missed::at_source(3)));
        assert_eq!(take(&reader), Taken::Gap(Missed::at_source(3)));
        loses.join().unwrap();
        reader.miss(Missed::at_source(2));
        reader.end("over");
        assert_eq!(take(&reader), Taken::Gap(Missed::at_source(2)));
        assert_eq!(take(&reader), Taken::End(Some("over")));
    });
}

#[test]
fn samples_before_the_end_are_received_before_it() {
    loom::model(|| {
        let reader = mailbox(2);
        let writer = Arc::clone(&reader);
        let writes = thread::spawn(move || {
            put(&writer, 1);
            put(&writer, 2);
            writer.end("over");
            writer.end("again");
        });
        assert_eq!(take(&reader), item(1, 0));
        assert_eq!(take(&reader), item(2, 0));
        assert_eq!(take(&reader), Taken::End(Some("over")));
        writes.join().unwrap();
    });
}

#[test]
fn received_and_missed_samples_add_up() {
    bounded(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let writes = thread::spawn(move || {
            let mut lost = 0;
            for item in 1..=3 {
                lost += put(&writer, item);
            }
            writer.end("over");
            lost
        });
        let (mut last, mut all_missed) = (0, 0);
        while let Taken::Item { item, missed } = take(&reader) {
            all_missed += missed.by_subscriber;
            assert_eq!(item, last + 1 + missed.total());
            last = item;
        }
        assert_eq!(last, 3);
        assert_eq!(writes.join().unwrap(), all_missed);
    });
}

#[test]
fn two_writers_do_not_lose_each_others_samples() {
    bounded(|| {
        let reader = mailbox(2);
        let writers: Vec<_> = (1..=2)
            .map(|item| {
                let writer = Arc::clone(&reader);
                thread::spawn(move || put(&writer, item))
            })
            .collect();
        let mut sum = 0;
        for _ in 0..2 {
            let Taken::Item { item, .. } = take(&reader) else {
                panic!("two were put in");
            };
            sum += item;
        }
        assert_eq!(sum, 3);
        for writer in writers {
            assert_eq!(writer.join().unwrap(), 0);
        }
    });
}

#[test]
fn a_mailbox_closed_during_a_write_is_empty() {
    loom::model(|| {
        let reader = mailbox(1);
        let writer = Arc::clone(&reader);
        let item = Arc::new(());
        let held = Arc::clone(&item);
        let inbox = Arc::new(Mailbox::<_, ()>::new(Limit {
            count: NonZeroUsize::MIN,
            bytes: usize::MAX,
        }));
        let outbox = Arc::clone(&inbox);
        let writes = thread::spawn(move || {
            put(&writer, 1);
            outbox.put(held, 1, Missed::NONE, usize::MAX);
        });
        inbox.close();
        writes.join().unwrap();
        assert_eq!(Arc::strong_count(&item), 1);
    });
}

#[test]
fn a_queue_is_bounded_by_bytes_but_holds_the_newest_sample() {
    loom::model(|| {
        let inbox = limited(10, 5);
        assert_eq!(inbox.put(1, 2, Missed::NONE, usize::MAX), 0);
        assert_eq!(inbox.put(2, 2, Missed::NONE, usize::MAX), 0);
        assert_eq!(inbox.put(3, 2, Missed::NONE, usize::MAX), 1);
        assert_eq!(take(&inbox), item(2, 1));
        // The larger than all pushes the other out; the bus may allow less.
        assert_eq!(inbox.put(4, 50, Missed::NONE, usize::MAX), 1);
        assert_eq!(inbox.put(5, 2, Missed::NONE, 3), 1);
        assert_eq!(inbox.put(6, 2, Missed::NONE, 3), 1);
        assert_eq!(take(&inbox), item(6, 3));
        assert!(inbox.try_take().is_none());
    });
}
