//! From publishing to receiving, by the number of subscribers.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use collector::{
    bus::{Bus, Publisher, SubscribeOptions, Subscription},
    metric::Backend,
};
use tokio::{
    runtime::Runtime,
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
};

use crate::{cpu, reading::Sent};

const SUBSCRIBERS: [usize; 4] = [1, 100, 1_000, 10_000];

/// Deliveries that are measured of each way, at each number of subscribers.
const DELIVERIES: usize = 400_000;

/// Rounds after which the next way has its turn.
const TURN: usize = 5;

/// A way to hand a reading to many.
trait Way {
    const NAME: &'static str;
    type Receiver: Receive;

    fn new(subscribers: usize) -> (Self, Vec<Self::Receiver>)
    where
        Self: Sized;
    fn send(&self, reading: Arc<Sent>);
    /// Ends all receivers.
    fn end(self) -> impl Future<Output = ()> + Send;
}

trait Receive: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Option<Arc<Sent>>> + Send;
}

struct OverBus(Bus, Publisher<Sent>);

impl Way for OverBus {
    const NAME: &'static str = "bus";
    type Receiver = Subscription<Sent>;

    fn new(subscribers: usize) -> (Self, Vec<Self::Receiver>) {
        let bus = Bus::builder()
            .producer::<Sent>(Backend::Procfs)
            .build()
            .unwrap();
        let subscribe = |_| bus.subscribe(SubscribeOptions::default()).unwrap();
        let receivers = (0..subscribers).map(subscribe).collect();
        let publisher = bus.publisher().unwrap();
        (Self(bus, publisher), receivers)
    }

    fn send(&self, reading: Arc<Sent>) {
        self.1.publish_shared(reading);
    }

    async fn end(self) {
        self.0.shutdown().await;
    }
}

impl Receive for Subscription<Sent> {
    async fn next(&mut self) -> Option<Arc<Sent>> {
        self.recv().await.ok()?.data
    }
}

struct OverWatch(watch::Sender<Option<Arc<Sent>>>);

impl Way for OverWatch {
    const NAME: &'static str = "watch";
    type Receiver = watch::Receiver<Option<Arc<Sent>>>;

    fn new(subscribers: usize) -> (Self, Vec<Self::Receiver>) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), vec![receiver; subscribers])
    }

    fn send(&self, reading: Arc<Sent>) {
        self.0.send_replace(Some(reading));
    }

    async fn end(self) {}
}

impl Receive for watch::Receiver<Option<Arc<Sent>>> {
    async fn next(&mut self) -> Option<Arc<Sent>> {
        self.changed().await.ok()?;
        self.borrow_and_update().clone()
    }
}

struct OverBroadcast(broadcast::Sender<Arc<Sent>>);

impl Way for OverBroadcast {
    const NAME: &'static str = "broadcast";
    type Receiver = broadcast::Receiver<Arc<Sent>>;

    fn new(subscribers: usize) -> (Self, Vec<Self::Receiver>) {
        let (sender, _) = broadcast::channel(1);
        let receivers = (0..subscribers).map(|_| sender.subscribe()).collect();
        (Self(sender), receivers)
    }

    fn send(&self, reading: Arc<Sent>) {
        drop(self.0.send(reading));
    }

    async fn end(self) {}
}

impl Receive for broadcast::Receiver<Arc<Sent>> {
    async fn next(&mut self) -> Option<Arc<Sent>> {
        self.recv().await.ok()
    }
}

/// One way with its subscribers, and what was measured of it.
struct Trial<W> {
    way: W,
    subscribers: usize,
    received: Arc<(AtomicUsize, Notify)>,
    tasks: Vec<JoinHandle<Vec<u64>>>,
    sent: usize,
    sending: Duration,
    until_all: Duration,
    cpu: Duration,
}

impl<W: Way> Trial<W> {
    fn new(subscribers: usize) -> Self {
        let (way, receivers) = W::new(subscribers);
        let received = Arc::new((AtomicUsize::new(0), Notify::new()));
        let tasks = receivers
            .into_iter()
            .map(|mut receiver| {
                let received = Arc::clone(&received);
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while let Some(reading) = receiver.next().await {
                        latencies.push(reading.at.elapsed().as_nanos() as u64);
                        let before = received.0.fetch_add(1, Ordering::AcqRel);
                        if (before + 1).is_multiple_of(subscribers) {
                            received.1.notify_one();
                        }
                    }
                    latencies
                })
            })
            .collect();
        Self {
            way,
            subscribers,
            received,
            tasks,
            sent: 0,
            sending: Duration::ZERO,
            until_all: Duration::ZERO,
            cpu: Duration::ZERO,
        }
    }

    async fn turn(&mut self) {
        for _ in 0..TURN {
            let cpu = cpu::time();
            let began = Instant::now();
            self.way.send(Arc::new(Sent::now()));
            self.sending += began.elapsed();
            self.received.1.notified().await;
            self.until_all += began.elapsed();
            self.cpu += cpu::time().saturating_sub(cpu);
            self.sent += 1;
        }
    }

    /// Prints a row. The answer is the time per delivery.
    async fn report(self, limit: Option<f64>) -> f64 {
        self.way.end().await;
        let mut latencies = Vec::new();
        for task in self.tasks {
            latencies.extend(task.await.unwrap());
        }
        let deliveries = (self.sent * self.subscribers) as f64;
        let each = self.until_all.as_nanos() as f64 / deliveries;
        let cpu = self.cpu.as_nanos() as f64 / deliveries;
        let sending = self.sending.as_nanos() as f64 / self.sent as f64 / 1_000.0;
        let ratio = limit.map_or(String::new(), |limit| format!("{:.2}", each / limit));
        print!("{:>11}  {:<9}", self.subscribers, W::NAME);
        latencies.sort_unstable();
        for at in [0.5, 0.99, 1.0] {
            let micros = quantile(&latencies, at) / 1_000.0;
            print!("  {micros:>9.1}");
        }
        println!("  {sending:>9.1}  {each:>12.0}  {cpu:>10.0}  {ratio:>8}");
        each
    }
}

fn quantile(sorted: &[u64], at: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * at) as usize)
        .map_or(f64::NAN, |&value| value as f64)
}

pub(crate) fn run() {
    println!("Fan-out: publish to receive, each reading to every subscriber");
    println!(
        "{:>11}  {:<9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>12}  {:>10}  {:>8}",
        "subscribers",
        "way",
        "p50 us",
        "p99 us",
        "max us",
        "send us",
        "ns/delivery",
        "CPU ns",
        "x watch"
    );
    for subscribers in SUBSCRIBERS {
        let runtime = Runtime::new().unwrap();
        // Sent from a worker, as a collection's end is not; waking is then as
        // cheap as it can be, for all three.
        runtime.block_on(async {
            tokio::spawn(async move {
                let mut bus = Trial::<OverBus>::new(subscribers);
                let mut watch = Trial::<OverWatch>::new(subscribers);
                let mut broadcast = Trial::<OverBroadcast>::new(subscribers);
                tokio::time::sleep(Duration::from_millis(200)).await;
                let turns = (DELIVERIES / subscribers / TURN).clamp(8, 4_000);
                for _ in 0..turns {
                    bus.turn().await;
                    watch.turn().await;
                    broadcast.turn().await;
                }
                let limit = watch.report(None).await;
                broadcast.report(Some(limit)).await;
                bus.report(Some(limit)).await;
            })
            .await
            .unwrap();
        });
    }
}
