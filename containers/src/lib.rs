//! What backends have in common whose instances are containers, on whatever engine: the image of a runtime, the
//! emulator in front of its bootstrap, how files get there, and when the emulator is ready.
#![forbid(unsafe_code)]

pub mod archive;
pub mod emulator;
pub mod logs;
pub mod readiness;
pub mod runtimes;
