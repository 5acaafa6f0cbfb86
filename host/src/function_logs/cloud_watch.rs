//! Sends what functions write to CloudWatch Logs, in batches, and tries again while it is away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::LogLine;
use tokio::sync::{mpsc, oneshot};

use super::Source;
use crate::aws::{Aws, CallError, logs};
use crate::clock::Clock;

/// How long lines are gathered.
const GATHERED_FOR: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Batches of lines that wait to be gathered.
const WAITING: usize = 4096;
/// What is kept of one stream while the service is away, in bytes.
const KEPT: usize = 4 * 1024 * 1024;
/// What AWS takes at once:
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.
const MAX_EVENTS: usize = 10_000;
const MAX_BYTES: usize = 1_048_576;
/// What an event counts for besides its text.
const EVENT_BYTES: usize = 26;
/// Longest event that AWS takes, in bytes, less what an event counts for.
const MAX_MESSAGE: usize = 256 * 1024 - EVENT_BYTES;

/// The way to CloudWatch Logs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    sender: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Lines(Source, Vec<LogLine>),
    /// No more lines come from this one.
    End(Source),
    Flush(oneshot::Sender<()>),
}

impl CloudWatch {
    /// Begins to send, as a task of its own.
    pub fn start(aws: Aws) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(run(aws, receiver));
        Self { sender }
    }

    /// Never waits: what there is no room for is left out, which is said.
    pub(super) fn send(&self, source: &Source, lines: Vec<LogLine>) {
        let count = lines.len();
        if self.sender.try_send(Message::Lines(source.clone(), lines)).is_err() {
            tracing::warn!(count, stream = %source.stream, "CloudWatch Logs is too slow; lines were left out");
        }
    }

    pub(super) fn end(&self, source: &Source) {
        // A stream whose end was not told costs a few bytes.
        let _full = self.sender.try_send(Message::End(source.clone()));
    }

    /// Sends what there is, once.
    pub(super) async fn flush(&self) {
        let (done, sent) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            // Not if the sender has ended, and then there is nothing to wait for.
            let _sent = sent.await;
        }
    }
}

/// One log stream.
#[derive(Default)]
struct Pending {
    exists: bool,
    has_ended: bool,
    events: Vec<logs::InputLogEvent>,
    bytes: usize,
}

type Streams = HashMap<Arc<str>, (Source, Pending)>;

async fn run(aws: Aws, mut messages: mpsc::Receiver<Message>) {
    let mut streams = Streams::new();
    let mut pause = GATHERED_FOR;
    loop {
        let mut asked = Vec::new();
        if streams.values().all(|(_, pending)| pending.events.is_empty()) {
            let Some(message) = messages.recv().await else { return };
            asked.extend(take(&mut streams, message));
        }
        let gathered = Clock::after(pause);
        // Whoever asks for a flush waits for nobody else's lines.
        while asked.is_empty()
            && let Ok(Some(message)) = tokio::time::timeout_at(gathered, messages.recv()).await
        {
            asked.extend(take(&mut streams, message));
        }
        let went_well = send_all(&aws, &mut streams).await;
        pause = if went_well { GATHERED_FOR } else { (pause * 2).min(LONGEST_PAUSE) };
        for done in asked {
            let _gone: Result<(), ()> = done.send(());
        }
        if messages.is_closed() && messages.is_empty() {
            return;
        }
    }
}

/// Takes a message in; answers whom to tell once everything was sent.
fn take(streams: &mut Streams, message: Message) -> Option<oneshot::Sender<()>> {
    match message {
        Message::Lines(source, lines) => {
            let name = Arc::clone(&source.stream);
            let (_, pending) = streams.entry(name).or_insert_with(|| (source, Pending::default()));
            pending.add(lines);
            None
        }
        Message::End(source) => {
            if let Some((_, pending)) = streams.get_mut(&source.stream) {
                pending.has_ended = true;
            }
            None
        }
        Message::Flush(done) => Some(done),
    }
}

/// Whether everything was sent, or refused for good.
async fn send_all(aws: &Aws, streams: &mut Streams) -> bool {
    let mut went_well = true;
    for (source, pending) in streams.values_mut() {
        if let Err(error) = pending.send(aws, stream_of(source)).await {
            tracing::warn!(stream = %source.stream, %error, "cannot send a function's log to CloudWatch Logs");
            if error.may_pass() {
                went_well = false;
                // The others would fail in the same way.
                break;
            }
            pending.clear();
        }
    }
    streams.retain(|_, (_, pending)| !(pending.has_ended && pending.events.is_empty()));
    went_well
}

fn stream_of(source: &Source) -> logs::Stream<'_> {
    let key = &source.place.function;
    logs::Stream {
        account: &key.account,
        region: &key.region,
        group: &source.place.group,
        name: &source.stream,
    }
}

impl Pending {
    fn add(&mut self, lines: Vec<LogLine>) {
        // CloudWatch Logs takes no empty events.
        for line in lines.into_iter().filter(|line| !line.line.is_empty()) {
            let mut message = line.line;
            message.truncate(message.floor_char_boundary(MAX_MESSAGE));
            self.bytes += message.len() + EVENT_BYTES;
            self.events.push(logs::InputLogEvent { timestamp: line.unix_ms, message });
        }
        if self.bytes > KEPT {
            tracing::warn!(
                count = self.events.len(),
                "CloudWatch Logs is away for too long; lines were left out"
            );
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }

    async fn send(&mut self, aws: &Aws, stream: logs::Stream<'_>) -> Result<(), CallError> {
        while !self.events.is_empty() {
            if !self.exists {
                aws.create_log_stream(stream).await?;
                self.exists = true;
            }
            let count = self.next_batch();
            // Lines of different processes may overtake each other by a little.
            self.events[..count].sort_by_key(|event| event.timestamp);
            let sent = aws.put_log_events(stream, &self.events[..count]).await;
            if matches!(&sent, Err(CallError::Refused { text, .. }) if text.contains("ResourceNotFoundException"))
            {
                // Somebody has deleted it, or the service has forgotten: it is made again.
                self.exists = false;
                aws.create_log_stream(stream).await?;
                aws.put_log_events(stream, &self.events[..count]).await?;
                self.exists = true;
            } else {
                sent?;
            }
            self.bytes -=
                self.events.drain(..count).map(|event| event.message.len() + EVENT_BYTES).sum::<usize>();
        }
        Ok(())
    }

    /// How many events go into the next call.
    fn next_batch(&self) -> usize {
        let mut bytes = 0;
        let fits = |event: &&logs::InputLogEvent| {
            bytes += event.message.len() + EVENT_BYTES;
            bytes <= MAX_BYTES
        };
        self.events.iter().take(MAX_EVENTS).take_while(fits).count()
    }
}

#[cfg(test)]
mod tests {
    use hearth_core::LogStreamKind;

    use super::*;

    fn line(text: String) -> LogLine {
        LogLine { stream: LogStreamKind::STDOUT, unix_ms: 1, line: text }
    }

    #[test]
    fn a_call_holds_no_more_than_aws_takes() {
        let mut pending = Pending::default();
        pending.add(vec![line(String::new()), line("ä".repeat(200_000))]);
        assert_eq!(pending.events.len(), 1);
        assert_eq!(pending.events[0].message.len(), MAX_MESSAGE);
        pending.add(vec![line("x".repeat(MAX_MESSAGE)); 4]);
        assert_eq!(pending.next_batch(), 4);
        pending.clear();
        pending.add(vec![line("x".to_owned()); MAX_EVENTS + 1]);
        assert_eq!(pending.next_batch(), MAX_EVENTS);
    }

    #[test]
    fn what_waits_for_too_long_is_left_out() {
        let mut pending = Pending::default();
        pending.add(vec![line("x".repeat(MAX_MESSAGE)); 17]);
        assert_eq!((pending.events.len(), pending.bytes), (0, 0));
    }
}
