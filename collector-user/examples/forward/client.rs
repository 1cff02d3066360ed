//! The half that offers what another process forwards as a feed.

use std::{
    io,
    path::{Path, PathBuf},
};

use collector::{
    feed::{
        AnySampleSender, AnySubscription, Ended, Feed, SnapshotFuture, SnapshotRequest,
        SubscribeError, SubscribeOptions,
    },
    metric::Metric,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixStream, unix::OwnedReadHalf, unix::OwnedWriteHalf},
};

use crate::protocol::{Answer, Request};

/// A feed of another process.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFeed {
    socket: PathBuf,
    metrics: Vec<Metric>,
}

/// One request, and the lines that answer it.
struct Connection {
    lines: tokio::io::Lines<BufReader<OwnedReadHalf>>,
    /// The server takes it for the end of the client when this is dropped.
    _writer: OwnedWriteHalf,
}

impl RemoteFeed {
    /// Asks the server for its metrics.
    pub(crate) async fn connect(socket: &Path) -> io::Result<Self> {
        let mut connection = Connection::open(socket, &Request::Metrics).await?;
        match connection.next().await? {
            Answer::Metrics(metrics) => Ok(Self {
                socket: socket.to_owned(),
                metrics,
            }),
            other => Err(unexpected(&other)),
        }
    }

    fn check(&self, name: &str) -> Result<&Metric, SubscribeError> {
        let found = self.metrics.iter().find(|metric| metric.name() == name);
        found.ok_or_else(|| {
            let known = self.metrics.iter().map(|metric| metric.name().to_owned());
            SubscribeError::unknown_metric(name, known)
        })
    }
}

impl Feed for RemoteFeed {
    fn metrics(&self) -> Vec<Metric> {
        self.metrics.clone()
    }

    fn subscribe_any(
        &self,
        metric: &str,
        options: SubscribeOptions,
    ) -> Result<AnySubscription, SubscribeError> {
        let metric = self.check(metric)?;
        let (sender, subscription) = AnySubscription::channel(metric.clone(), options)?;
        let socket = self.socket.clone();
        let request = Request::Subscribe {
            metric: metric.name().to_owned(),
            options,
        };
        tokio::spawn(async move {
            let why = tokio::select! {
                why = receive(&socket, &request, &sender) => why,
                // Whoever has subscribed here does not want it any more.
                () = sender.unsubscribed() => return,
            };
            sender.end(why);
        });
        Ok(subscription)
    }

    fn snapshot(&self, request: SnapshotRequest) -> SnapshotFuture<'_> {
        Box::pin(async move {
            for name in request.metrics.iter().flatten() {
                self.check(name)?;
            }
            let lost = |error: io::Error| Ended::Disconnected(error.to_string().into());
            let request = Request::Snapshot(request);
            let connection = Connection::open(&self.socket, &request).await;
            match connection.map_err(lost)?.next().await.map_err(lost)? {
                Answer::Snapshot(snapshot) => Ok(snapshot),
                Answer::Refused(why) => Err(Ended::Remote(why.into()).into()),
                other => Err(lost(unexpected(&other)).into()),
            }
        })
    }
}

/// Receives the samples of one subscription; the result is why it ended.
async fn receive(socket: &Path, request: &Request, sender: &AnySampleSender) -> Ended {
    let mut connection = match Connection::open(socket, request).await {
        Ok(connection) => connection,
        Err(error) => return Ended::Disconnected(error.to_string().into()),
    };
    loop {
        match connection.next().await {
            Ok(Answer::Sample(sample)) => {
                if let Err(error) = sender.send(sample) {
                    return Ended::Remote(error.to_string().into());
                }
            }
            Ok(Answer::Ended(why)) => return Ended::Remote(why.to_string().into()),
            Ok(Answer::Refused(why)) => return Ended::Remote(why.into()),
            Ok(other) => return Ended::Disconnected(unexpected(&other).to_string().into()),
            Err(error) => return Ended::Disconnected(error.to_string().into()),
        }
    }
}

impl Connection {
    async fn open(socket: &Path, request: &Request) -> io::Result<Self> {
        let (reader, mut writer) = UnixStream::connect(socket).await?.into_split();
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        writer.write_all(&line).await?;
        Ok(Self {
            lines: BufReader::new(reader).lines(),
            _writer: writer,
        })
    }

    async fn next(&mut self) -> io::Result<Answer> {
        match self.lines.next_line().await? {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn unexpected(answer: &Answer) -> io::Error {
    io::Error::other(format!("the server answered with {answer:?}"))
}
