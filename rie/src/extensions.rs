//! The extensions of a process: what each may do, and what it is told. It decides, like the sandbox that it is
//! a part of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::clock::Instant;
use crate::exit::Exit;

/// What an extension can ask to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
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
    /// The call does not say whose it is.
    MissingIdentifier,
    /// What it says is not an identifier.
    InvalidIdentifier,
    /// There is no extension of this identifier.
    Unknown,
    /// The extension, by its name or its identifier, is in a state, named as AWS names it, in which it may not
    /// do that.
    State {
        who: Arc<str>,
        from: &'static str,
        to: &'static str,
    },
}

/// An extension that ended the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// How an extension ended the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Its program cannot be started.
    Launch,
    /// It reported that its init failed.
    Init,
    /// It reported that it is about to end.
    Exit,
    /// It ended without a word.
    Crash,
}

/// What there is to say of an extension in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) name: Arc<str>,
    pub(crate) state: &'static str,
    pub(crate) interests: Vec<Interest>,
    pub(crate) error_type: Option<&'static str>,
}

impl FailureKind {
    /// As in `errorType`.
    pub(crate) fn error_type(self) -> &'static str {
        match self {
            Self::Launch => "Extension.LaunchError",
            Self::Init => "Extension.InitError",
            Self::Exit => "Extension.ExitError",
            Self::Crash => "Extension.Crash",
        }
    }

    /// What AWS calls the state that such an extension is in.
    fn state(self) -> &'static str {
        match self {
            Self::Launch => "LaunchError",
            Self::Init => "InitError",
            Self::Exit => "ExitError",
            Self::Crash => "Exited",
        }
    }
}

impl Interest {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Invoke => "INVOKE",
            Self::Shutdown => "SHUTDOWN",
        }
    }
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
    Failed(FailureKind),
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
                return Err(member.refuse(&member.name, "Registered"));
            }
            member.state = State::Registered;
            member.interests = interests;
            return Ok(member.id.clone());
        }
        if interests.contains(&Interest::Shutdown) {
            return Err(Refused::Interest("SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"));
        }
        if self.members.len() >= Self::MOST {
            return Err(Refused::TooMany);
        }
        let member = Extension::new(name.into(), Kind::Internal, State::Registered, interests);
        let id = member.id.clone();
        self.members.push(member);
        Ok(id)
    }

    /// The extension asks for its next event. The first time there is something to say of it.
    pub(crate) fn next(&mut self, id: &str) -> Result<(NextNotice, Option<Standing>), Refused> {
        let member = self.member(id)?;
        match &mut member.state {
            State::Started | State::Failed(_) => Err(member.refuse(&member.id, "Ready")),
            State::Running(notice @ Some(_)) => {
                notice.take().map(|notice| (NextNotice::Now(notice), None)).ok_or(Refused::Unknown)
            }
            before @ (State::Registered | State::Ready(_) | State::Running(None)) => {
                let (poller, receiver) = oneshot::channel();
                let before = std::mem::replace(before, State::Ready(poller));
                let standing = matches!(before, State::Registered).then(|| member.standing());
                Ok((NextNotice::Later(receiver), standing))
            }
        }
    }

    /// The name of an extension that is known.
    pub(crate) fn name_of(&self, id: &str) -> Option<Arc<str>> {
        self.members.iter().find(|member| *member.id == *id).map(|member| member.name.clone())
    }

    /// The extension reports that its init failed.
    pub(crate) fn init_failed(&mut self, id: &str, error_type: &str) -> Result<Option<Standing>, Refused> {
        let member = self.member(id)?;
        if !matches!(member.state, State::Registered) {
            return Err(member.refuse(&member.id, "InitError"));
        }
        let name = member.name.clone();
        Ok(self.failed(&name, FailureKind::Init, error_type.to_owned()))
    }

    /// The extension reports that it is about to end, and why.
    pub(crate) fn exit_failed(&mut self, id: &str, error_type: &str) -> Result<Option<Standing>, Refused> {
        let member = self.member(id)?;
        if matches!(member.state, State::Started | State::Failed(_)) {
            return Err(member.refuse(&member.id, "ExitError"));
        }
        let name = member.name.clone();
        Ok(self.failed(&name, FailureKind::Exit, error_type.to_owned()))
    }

    /// The process of an external extension is gone.
    pub(crate) fn gone(&mut self, name: &str, exit: Exit) -> Option<Standing> {
        self.failed(name, FailureKind::Crash, exit.how())
    }

    /// The process of an external extension could not be started.
    pub(crate) fn not_started(&mut self, name: &str, reason: String) -> Option<Standing> {
        self.failed(name, FailureKind::Launch, reason)
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
            if matches!(member.state, State::Failed(_)) {
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

    /// Only the first one of all counts, and the first failure of each: the others follow from it.
    fn failed(&mut self, name: &str, kind: FailureKind, message: String) -> Option<Standing> {
        self.failure.get_or_insert(Failure { kind, message });
        let member = self.members.iter_mut().find(|member| *member.name == *name)?;
        if matches!(member.state, State::Failed(_)) {
            return None;
        }
        member.state = State::Failed(kind);
        Some(member.standing())
    }

    fn member(&mut self, id: &str) -> Result<&mut Extension, Refused> {
        self.members.iter_mut().find(|member| *member.id == *id).ok_or(Refused::Unknown)
    }
}

impl Extension {
    fn new(name: Arc<str>, kind: Kind, state: State, interests: Vec<Interest>) -> Self {
        Self { name, id: uuid::Uuid::new_v4().to_string().into(), kind, interests, state }
    }

    fn refuse(&self, who: &Arc<str>, to: &'static str) -> Refused {
        Refused::State { who: who.clone(), from: self.state_name(), to }
    }

    fn standing(&self) -> Standing {
        let error_type = if let State::Failed(kind) = self.state { Some(kind.error_type()) } else { None };
        let (name, interests) = (self.name.clone(), self.interests.clone());
        Standing { name, state: self.state_name(), interests, error_type }
    }

    fn state_name(&self) -> &'static str {
        match &self.state {
            State::Started => "Started",
            State::Registered => "Registered",
            State::Ready(_) => "Ready",
            State::Running(_) => "Running",
            State::Failed(kind) => kind.state(),
        }
    }
}
