//! The half that forwards the subscriptions of any feed to clients.

use std::{io, path::Path, sync::Arc};

use collector::feed::{AnySubscription, Ended, Feed, RecvError};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
};

use crate::protocol::{Answer, Request};

/// Serves a feed on a socket until the future is dropped.
pub(crate) async fn serve(feed: Arc<dyn Feed>, socket: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    loop {
        let (client, _address) = listener.accept().await?;
        let feed = Arc::clone(&feed);
        tokio::spawn(async move {
            // A client that leaves in the middle is no error of the server.
            let _ = answer(&*feed, client).await;
        });
    }
}

async fn answer(feed: &dyn Feed, client: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = client.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    reader.read_line(&mut line).await?;
    let refused = |error: &dyn std::error::Error| Answer::Refused(error.to_string());
    let answer = match serde_json::from_str(&line)? {
        Request::Metrics => Answer::Metrics(feed.metrics()),
        Request::Snapshot(request) => match feed.snapshot(request).await {
            Ok(snapshot) => Answer::Snapshot(snapshot),
            Err(error) => refused(&error),
        },
        Request::Subscribe { metric, options } => match feed.subscribe_any(&metric, options) {
            Ok(subscription) => {
                let mut byte = [0];
                return tokio::select! {
                    forwarded = forward(subscription, &mut writer) => forwarded,
                    // The client says nothing more: this is that it has gone.
                    _gone = reader.read(&mut byte) => Ok(()),
                };
            }
            Err(error) => refused(&error),
        },
    };
    write(&mut writer, &answer).await
}

/// Forwards the samples until the subscription ends. While the client does not
/// read, its samples wait in the queue that it asked for, and are then counted
/// as missed; no other client waits for it.
async fn forward(mut subscription: AnySubscription, writer: &mut OwnedWriteHalf) -> io::Result<()> {
    loop {
        match subscription.recv().await {
            Ok(sample) => write(writer, &Answer::Sample(sample)).await?,
            Err(RecvError::Ended(why)) => return write(writer, &Answer::Ended(why)).await,
            Err(error) => {
                let why = Ended::Remote(error.to_string().into());
                return write(writer, &Answer::Ended(why)).await;
            }
        }
    }
}

async fn write(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}
