//! Starts the real `hearth` with the real plugins, and talks to it over HTTP like any client.
//!
//! The black-box suites, the benchmarks and `cargo xtask demo` stand on it.

mod binaries;
mod clock;
mod host;
mod lambda;
mod package;
mod problem;
mod processes;

pub use self::binaries::Binaries;
pub use self::clock::{Stopwatch, pause, wait_until};
pub use self::host::{Ended, Host, Launch};
pub use self::lambda::{Answer, Client, NewFunction};
pub use self::package::{zip_folder, zip_of};
pub use self::problem::{Explain, Problem, Result};
pub use self::processes::{Process, descendants};
