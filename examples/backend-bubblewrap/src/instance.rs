//! One instance: a sandbox, what it writes, and its end.
//!
//! Two threads read what it writes. When the second has come to its end, every process of the sandbox has gone, and
//! those who wait for that are woken.

use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, Read};
use std::pin::Pin;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, SystemTime};

use hearth_core::{Host, InstanceStatus, LaunchSpec, LogLine, LogStream, LogStreamKind, Meta, State, Stream};

use crate::lock;
use crate::processes::{signal, tree};

/// Lines that are kept of each instance.
const KEPT: usize = 10_000;

pub(crate) struct Instance {
    pub(crate) handle: String,
    function: String,
    deploy_id: String,
    process_id: u32,
    story: Mutex<Story>,
    /// Told of the end, for threads.
    end: Condvar,
}

/// What has happened so far.
struct Story {
    lines: Vec<LogLine>,
    /// How many were dropped before those that are kept.
    dropped: usize,
    state: Life,
    /// Told of lines and of the end, for tasks.
    waiting: Vec<Waker>,
}

enum Life {
    Running,
    Paused,
    /// The host has asked for its end.
    Ending,
    Ended {
        was_asked_for: bool,
        status: Option<ExitStatus>,
    },
}

impl Instance {
    /// Begins to read what a sandbox writes, and calls `on_end` when it has ended.
    pub(crate) fn watch(
        spec: &LaunchSpec,
        mut process: Child,
        on_end: impl FnOnce(&Self) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let instance = Arc::new(Self {
            handle: spec.instance_id.clone(),
            function: spec.function.clone(),
            deploy_id: spec.deploy_id.clone(),
            process_id: process.id(),
            story: Mutex::new(Story {
                lines: Vec::new(),
                dropped: 0,
                state: Life::Running,
                waiting: Vec::new(),
            }),
            end: Condvar::new(),
        });
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let reader = Arc::clone(&instance);
        let errors = thread::Builder::new().spawn(move || reader.read(LogStreamKind::STDERR, stderr))?;
        let watcher = Arc::clone(&instance);
        thread::Builder::new().spawn(move || {
            watcher.read(LogStreamKind::STDOUT, stdout);
            // Whatever a reader comes to, its end is the end of what is written.
            let _panicked = errors.join();
            watcher.ended(process.wait().ok());
            on_end(&watcher);
        })?;
        Ok(instance)
    }

    fn read(&self, stream: LogStreamKind, source: Option<impl Read>) {
        let Some(source) = source else { return };
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let unix_ms =
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
            let mut story = lock(&self.story);
            if story.lines.len() == KEPT {
                // Half at once, so that it is not done for every line.
                story.lines.drain(..KEPT / 2);
                story.dropped += KEPT / 2;
            }
            story.lines.push(LogLine { stream, unix_ms: u64::try_from(unix_ms).unwrap_or(u64::MAX), line });
            story.wake();
        }
    }

    fn ended(&self, status: Option<ExitStatus>) {
        let mut story = lock(&self.story);
        let was_asked_for = matches!(story.state, Life::Ending);
        story.state = Life::Ended { was_asked_for, status };
        story.wake();
        self.end.notify_all();
    }

    /// What the host is to be told of an end that it has not asked for.
    pub(crate) fn unforeseen_end(&self) -> Option<Meta> {
        match lock(&self.story).state {
            Life::Ended { was_asked_for: false, status } => {
                let status = status.and_then(|status| status.code()).map(|code| code.to_string());
                let facts = [("reason", Some("its sandbox ended".to_owned())), ("exit.status", status)];
                Some(facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
            }
            _ => None,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(lock(&self.story).state, Life::Ended { .. })
    }

    pub(crate) fn last_line(&self) -> Option<String> {
        lock(&self.story).lines.last().map(|line| line.line.clone())
    }

    /// Of bubblewrap itself, whose children are the sandbox.
    pub(crate) fn process_id(&self) -> u32 {
        self.process_id
    }

    pub(crate) fn status(&self, host: &Host) -> InstanceStatus {
        let state = match lock(&self.story).state {
            Life::Running => State::RUNNING,
            Life::Paused => State::PAUSED,
            Life::Ending => State::ENDING,
            Life::Ended { .. } => State::ENDED,
        };
        InstanceStatus {
            handle: self.handle.clone(),
            state,
            function: self.function.clone(),
            deploy_id: self.deploy_id.clone(),
            owner: host.info().owner.clone(),
            epoch: host.info().epoch.clone(),
            meta: Meta::new(),
        }
    }

    /// Stops all its processes where they stand. Parents come first: what is stopped starts no other.
    pub(crate) fn pause(&self) -> io::Result<()> {
        let mut story = lock(&self.story);
        if matches!(story.state, Life::Running) {
            story.state = Life::Paused;
            for process in self.sandbox() {
                signal("STOP", &[process])?;
            }
        }
        Ok(())
    }

    pub(crate) fn resume(&self) -> io::Result<()> {
        let mut story = lock(&self.story);
        if matches!(story.state, Life::Paused) {
            story.state = Life::Running;
            signal("CONT", &self.sandbox())?;
        }
        Ok(())
    }

    /// Asks the emulator to end, and kills the sandbox if it has not done so by then.
    pub(crate) async fn terminate(self: &Arc<Self>, grace: Duration) {
        {
            let mut story = lock(&self.story);
            if !matches!(story.state, Life::Ended { .. }) {
                story.state = Life::Ending;
                let sandbox = self.sandbox();
                // The first is the sandbox's own init, the second the emulator. What is paused must hear it, too.
                let _sent = signal("TERM", sandbox.get(1..2).unwrap_or_default());
                let _sent = signal("CONT", &sandbox);
            }
        }
        let instance = Arc::clone(self);
        thread::spawn(move || instance.kill_after(grace));
        poll_fn(|cx| {
            let mut story = lock(&self.story);
            if matches!(story.state, Life::Ended { .. }) {
                return Poll::Ready(());
            }
            story.wait(cx);
            Poll::Pending
        })
        .await;
    }

    fn kill_after(&self, grace: Duration) {
        let is_there = |story: &mut Story| !matches!(story.state, Life::Ended { .. });
        let waited = self.end.wait_timeout_while(lock(&self.story), grace, is_there);
        let timed_out = waited.is_ok_and(|(_story, waited)| waited.timed_out());
        if timed_out {
            // The kernel kills the rest with it.
            let _sent = signal("KILL", &[self.process_id]);
        }
    }

    /// The processes in the sandbox, without bubblewrap's own outside of it.
    fn sandbox(&self) -> Vec<u32> {
        tree(self.process_id).split_off(1)
    }

    /// What it has written and will write, up to its end.
    pub(crate) fn log(self: Arc<Self>, since_ms: u64) -> LogStream {
        Box::pin(Log { instance: self, since_ms, next: 0 })
    }
}

impl Story {
    fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

struct Log {
    instance: Arc<Instance>,
    since_ms: u64,
    /// Number of the next line, counted from the first that was written.
    next: usize,
}

impl Stream for Log {
    type Item = LogLine;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LogLine>> {
        let instance = Arc::clone(&self.instance);
        let mut story = lock(&instance.story);
        let from = self.next.saturating_sub(story.dropped);
        let mut rest = story.lines.iter().enumerate().skip(from);
        if let Some((index, line)) = rest.find(|(_, line)| line.unix_ms >= self.since_ms) {
            self.next = story.dropped + index + 1;
            return Poll::Ready(Some(line.clone()));
        }
        self.next = story.dropped + story.lines.len();
        if matches!(story.state, Life::Ended { .. }) {
            return Poll::Ready(None);
        }
        story.wait(cx);
        Poll::Pending
    }
}
