//! The host's side: a loaded plugin as an ordinary [`Backend`](crate::Backend).
//!
//! A loader finds the file, reads its [`Descriptor`], opens it, and hands the address of [`ROOT_SYMBOL`] to
//! [`ForeignModule::join`]; from there on nothing is unsafe.

mod backend;
mod callbacks;
mod module;

pub use self::backend::ForeignBackend;
pub use self::module::ForeignModule;
pub use crate::abi::{
    ABI_MAJOR, ABI_MINOR, Descriptor, LinkError, PanicStrategy, ROOT_SYMBOL, RawDescriptor,
};
