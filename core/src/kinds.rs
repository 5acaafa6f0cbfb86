//! Enumerations that may grow: a number with names for the values that are known today.
//!
//! A newer peer may send a value that this version has no name for, so each of these is a newtype with
//! constants, and a `match` over one needs a `_` arm.

use std::fmt;
use std::ops::BitOr;

macro_rules! open_enum {
    ($(
        $(#[$doc:meta])*
        pub struct $Name:ident { $($(#[$value_doc:meta])* $VALUE:ident = $number:literal,)* }
    )*) => { $(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize,
        )]
        pub struct $Name(u32);

        impl $Name {
            $($(#[$value_doc])* pub const $VALUE: Self = Self($number);)*

            /// The value with this number, whether it has a name here or not.
            pub const fn from_number(number: u32) -> Self {
                Self(number)
            }

            /// The number that travels.
            pub const fn number(self) -> u32 {
                self.0
            }

            /// The name, where this version knows one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($VALUE)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}({})", stringify!($Name), self.0),
                }
            }
        }

        $crate::abi::wire_number!($Name, u32, from_number, number);
    )* };
}

open_enum! {
    /// What went wrong, as far as it decides what to do next.
    pub struct ErrorKind {
        /// The backend's configuration is wrong, or what it needs is missing on this machine.
        CONFIG = 1,
        /// The backend does not implement this operation.
        UNSUPPORTED = 2,
        /// The backend panicked; the message is the panic's.
        PANICKED = 3,
        /// This launch specification cannot work, however often it is tried: an image that does not exist, a
        /// runtime that is not there.
        SPEC_REJECTED = 4,
        /// What the backend depends on (an engine, a cluster) does not answer.
        UNAVAILABLE = 5,
        /// It took longer than the caller was willing to wait.
        TIMEOUT = 6,
        /// There is no such instance.
        NOT_FOUND = 7,
        /// It was given up before it was done.
        CANCELLED = 8,
        /// Anything else: a bug, or a failure nobody foresaw.
        INTERNAL = 9,
        /// There is no room for another instance at this moment.
        NO_CAPACITY = 10,
    }

    /// What an instance's endpoint speaks.
    pub struct Protocol {
        /// Version 1 of the instance protocol: `docs/instance-protocol.md`.
        HEARTH_1 = 1,
        /// What AWS's own runtime interface emulator speaks.
        AWS_RIE = 2,
        /// Reserved: invocations would go through the backend itself.
        VIA_PLUGIN = 3,
    }

    /// What an instance is doing, as far as its backend can tell.
    pub struct State {
        /// It is being launched.
        STARTING = 1,
        /// It takes invocations, or serves one.
        RUNNING = 2,
        /// It was paused.
        PAUSED = 3,
        /// It was asked to end.
        ENDING = 4,
        /// It has ended, but is not cleared away.
        ENDED = 5,
    }

    /// What happened to an instance. After each of those that are known today the instance is gone.
    pub struct EventKind {
        /// It ended by itself.
        EXITED = 1,
        /// It was killed because it used too much memory.
        OOM = 2,
    }

    /// Where a line of a log came from.
    pub struct LogStreamKind {
        /// Standard output of the function.
        STDOUT = 1,
        /// Standard error of the function.
        STDERR = 2,
        /// The platform: START, END, REPORT, and what it has to say of a crash.
        PLATFORM = 3,
        /// An external extension, on either of its outputs.
        EXTENSION = 4,
    }
}

/// Optional operations that a backend implements.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
pub struct Capabilities(u64);

impl Capabilities {
    /// No optional operation.
    pub const NONE: Self = Self(0);
    /// [`Backend::prepare`](crate::Backend::prepare) does something.
    pub const PREPARE: Self = Self(1);
    /// [`Backend::inspect`](crate::Backend::inspect).
    pub const INSPECT: Self = Self(1 << 1);
    /// [`Backend::list`](crate::Backend::list).
    pub const LIST: Self = Self(1 << 2);
    /// [`Backend::reap`](crate::Backend::reap) does something.
    pub const REAP: Self = Self(1 << 3);
    /// [`Backend::logs`](crate::Backend::logs).
    pub const LOGS: Self = Self(1 << 4);
    /// [`Backend::stats`](crate::Backend::stats).
    pub const STATS: Self = Self(1 << 5);
    /// [`Backend::pause`](crate::Backend::pause) and [`Backend::resume`](crate::Backend::resume).
    pub const PAUSE: Self = Self(1 << 6);
    /// The host is told when an instance ends by itself.
    pub const EVENTS: Self = Self(1 << 7);
    /// [`Backend::shutdown`](crate::Backend::shutdown) does something.
    pub const SHUTDOWN: Self = Self(1 << 8);

    const NAMES: [(Self, &'static str); 9] = [
        (Self::PREPARE, "prepare"),
        (Self::INSPECT, "inspect"),
        (Self::LIST, "list"),
        (Self::REAP, "reap"),
        (Self::LOGS, "logs"),
        (Self::STATS, "stats"),
        (Self::PAUSE, "pause"),
        (Self::EVENTS, "events"),
        (Self::SHUTDOWN, "shutdown"),
    ];

    /// The set with these bits, whether they have names here or not.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits that travel.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Both sets together; usable in constants, where `|` is not.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names of those that this version knows, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(one, _)| self.contains(*one)).map(|(_, name)| name)
    }
}

impl BitOr for Capabilities {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

crate::abi::wire_number!(Capabilities, u64, from_bits, bits);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_without_a_name_is_kept_and_shown_by_its_number() {
        let newer = ErrorKind::from_number(4_000);
        assert_eq!((newer.number(), newer.name()), (4_000, None));
        assert_eq!(format!("{newer:?} {:?}", ErrorKind::TIMEOUT), "ErrorKind(4000) TIMEOUT");
    }

    #[test]
    fn a_set_contains_what_was_put_into_it_and_nothing_else() {
        let set = Capabilities::LIST | Capabilities::LOGS;
        assert!(set.contains(Capabilities::LIST) && set.contains(Capabilities::NONE));
        assert!(!set.contains(Capabilities::LIST | Capabilities::REAP));
        assert_eq!(set.names().collect::<Vec<_>>(), ["list", "logs"]);
        assert_eq!(set.without(Capabilities::LIST), Capabilities::LOGS);
    }
}
