//! The extensions of a process: what each may do, and what it is told. It decides, like the sandbox that it is
//! a part of.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::oneshot;

use crate::clock::Instant;
use crate::exit::Exit;

/// What an extension can ask to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Interest {
    Invoke,
    Shutdown,
}

/// What an extension is told: the JSON of an event.
pub(crate) type Notice = Arc<str>;

/// What an extension that asks for its next event gets.
#[derive(Debug)]
pub(crate) enum NextNotice {
    Now(Notice),
    Later(oneshot::Receiver<Notice>),
}

/// Why a call of an extension is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Extensions can only be registered before the runtime asks for its first invocation.
    RegistrationClosed,
    TooMany,
    /// Extensions inside the runtime's process end with it, and several invocations at once have no one event.
    Interest(&'static str),
    Unknown,
    /// The extension is in a state, named as AWS names it, in which it may not do that.
    State {
        name: Arc<str>,
        from: &'static str,
        to: &'static str,
    },
}

/// An extension that ended the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error_type: Arc<str>,
    pub(crate) message: String,
}

/// All extensions of one process.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    members: Vec<Extension>,
    failure: Option<Failure>,
    /// When the invocation that they were told of last must be over.
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Extension {
    name: Arc<str>,
    id: Arc<str>,
    kind: Kind,
    interests: Vec<Interest>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A process of its own.
    External,
    /// A part of the runtime's process.
    Internal,
}

/// Started → Registered → Ready ⇄ Running; every state may end in Failed.
#[derive(Debug)]
enum State {
    Started,
    Registered,
    Ready(oneshot::Sender<Notice>),
    /// It has an event, or one lies here that it has not fetched yet.
    Running(Option<Notice>),
    Failed,
}

impl Extensions {
    /// As on AWS.
    const MOST: usize = 10;

    /// Of a process that is about to be started together with these external ones.
    pub(crate) fn expecting(names: &[Arc<str>]) -> Self {
        let member =
            |name: &Arc<str>| Extension::new(name.clone(), Kind::External, State::Started, Vec::new());
        Self { members: names.iter().map(member).collect(), ..Self::default() }
    }

    pub(crate) fn has_external(&self) -> bool {
        self.members.iter().any(|member| member.kind == Kind::External)
    }

    /// Whether the runtime can be started.
    pub(crate) fn are_registered(&self) -> bool {
        self.failure.is_none() && !self.members.iter().any(|member| matches!(member.state, State::Started))
    }

    /// Whether all wait for an event: the init is over, and so is the invocation before.
    pub(crate) fn are_ready(&self) -> bool {
        self.members.iter().all(|member| matches!(member.state, State::Ready(_)))
    }

    /// When those that are not ready yet are overdue.
    pub(crate) fn overdue_at(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.are_ready())
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// The identifier under which the extension makes its other calls. A name that is not of an external
    /// extension is one of an internal one.
    pub(crate) fn register(&mut self, name: &str, interests: Vec<Interest>) -> Result<Arc<str>, Refused> {
        if let Some(member) = self.members.iter_mut().find(|member| *member.name == *name) {
            if !matches!(member.state, State::Started) {
                return Err(member.refuse("Registered"));
            }
            member.state = State::Registered;
            member.interests = interests;
            return Ok(member.id.clone());
        }
        if interests.contains(&Interest::Shutdown) {
            return Err(Refused::Interest("SHUTDOWN is not an event of an internal extension"));
        }
        if self.members.len() >= Self::MOST {
            return Err(Refused::TooMany);
        }
        let member = Extension::new(name.into(), Kind::Internal, State::Registered, interests);
        let id = member.id.clone();
        self.members.push(member);
        Ok(id)
    }

    /// The extension asks for its next event.
    pub(crate) fn next(&mut self, id: &str) -> Result<NextNotice, Refused> {
        let member = self.member(id)?;
        match &mut member.state {
            State::Started | State::Failed => Err(member.refuse("Ready")),
            State::Running(notice @ Some(_)) => notice.take().map(NextNotice::Now).ok_or(Refused::Unknown),
            State::Registered | State::Ready(_) | State::Running(None) => {
                let (poller, receiver) = oneshot::channel();
                member.state = State::Ready(poller);
                Ok(NextNotice::Later(receiver))
            }
        }
    }

    /// The name of an extension that is known.
    pub(crate) fn name_of(&self, id: &str) -> Option<Arc<str>> {
        self.members.iter().find(|member| *member.id == *id).map(|member| member.name.clone())
    }

    /// The extension reports that its init failed.
    pub(crate) fn init_failed(&mut self, id: &str, error_type: &str) -> Result<(), Refused> {
        let member = self.member(id)?;
        if !matches!(member.state, State::Registered) {
            return Err(member.refuse("InitError"));
        }
        self.fail(id, error_type);
        Ok(())
    }

    /// The extension reports that it is about to end, and why.
    pub(crate) fn exit_failed(&mut self, id: &str, error_type: &str) -> Result<(), Refused> {
        let member = self.member(id)?;
        if matches!(member.state, State::Started | State::Failed) {
            return Err(member.refuse("ExitError"));
        }
        self.fail(id, error_type);
        Ok(())
    }

    /// The process of an external extension is gone.
    pub(crate) fn gone(&mut self, name: &str, exit: Exit) {
        self.failed(name, "Extension.Crash", format!("extension {name}: {}", exit.how()));
    }

    /// The process of an external extension could not be started.
    pub(crate) fn not_started(&mut self, name: &str, reason: &str) {
        self.failed(name, "Extension.LaunchError", format!("extension {name}: {reason}"));
    }

    /// Tells whoever wants to know of an invocation.
    pub(crate) fn invoke(&mut self, notice: &Notice, deadline: Instant) {
        self.deadline = Some(deadline);
        self.tell(Interest::Invoke, notice);
    }

    /// Tells whoever wants to know that it is to end, and returns their names.
    pub(crate) fn shut_down(&mut self, notice: &Notice) -> Vec<Arc<str>> {
        self.tell(Interest::Shutdown, notice);
        let told = self.members.iter().filter(|member| member.interests.contains(&Interest::Shutdown));
        told.map(|member| member.name.clone()).collect()
    }

    fn tell(&mut self, interest: Interest, notice: &Notice) {
        for member in self.members.iter_mut().filter(|member| member.interests.contains(&interest)) {
            if matches!(member.state, State::Failed) {
                continue;
            }
            // One that does not wait at this moment, or has hung up, gets it when it asks.
            let before = std::mem::replace(&mut member.state, State::Running(None));
            let delivered =
                if let State::Ready(poller) = before { poller.send(notice.clone()).is_ok() } else { false };
            if !delivered {
                member.state = State::Running(Some(notice.clone()));
            }
        }
    }

    fn fail(&mut self, id: &str, error_type: &str) {
        if let Some(name) = self.name_of(id) {
            self.failed(&name, error_type, format!("extension {name}: {error_type}"));
        }
    }

    /// Only the first one counts: the others follow from it.
    fn failed(&mut self, name: &str, error_type: &str, message: String) {
        if let Some(member) = self.members.iter_mut().find(|member| *member.name == *name) {
            member.state = State::Failed;
        }
        self.failure.get_or_insert(Failure { error_type: error_type.into(), message });
    }

    fn member(&mut self, id: &str) -> Result<&mut Extension, Refused> {
        self.members.iter_mut().find(|member| *member.id == *id).ok_or(Refused::Unknown)
    }
}

impl Extension {
    fn new(name: Arc<str>, kind: Kind, state: State, interests: Vec<Interest>) -> Self {
        Self { name, id: uuid::Uuid::new_v4().to_string().into(), kind, interests, state }
    }

    fn refuse(&self, to: &'static str) -> Refused {
        let from = match &self.state {
            State::Started => "Started",
            State::Registered => "Registered",
            State::Ready(_) => "Ready",
            State::Running(_) => "Running",
            State::Failed => "Failed",
        };
        Refused::State { name: self.name.clone(), from, to }
    }
}
