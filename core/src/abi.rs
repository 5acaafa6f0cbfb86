//! The binary interface, and the only place that knows how it is made (`abi_stable`, `async-ffi`).
//!
//! A plugin's file carries two symbols: a plain record that is read without running any code
//! ([`Descriptor`]), and the root of the interface ([`Module`]). Everything else is reached from there.
//!
//! # How it may change
//!
//! The version of this crate is the version of the interface. Within major version 1
//!
//! - a method may be appended to one of the traits in `interface`, after all others and with a default body:
//!   that is what a plugin answers that was built before;
//! - a constant may be added to an open enumeration or to the capabilities;
//! - a key may be added to any `meta`.
//!
//! Whatever is appended raises [`ABI_MINOR`] and the crate's minor version. Everything else (a field of a
//! struct, a signature, a name, another minor version of `abi_stable` or `async-ffi`) is a new major version.
//!
//! Nothing here is meant to be used by hand: [`export_backend!`](crate::export_backend) and
//! [`foreign`](crate::foreign) are.

mod descriptor;
mod interface;
mod layout;
#[cfg(test)]
mod snapshot;
mod wire;

pub use self::descriptor::{ABI_MAJOR, ABI_MINOR, Descriptor, PanicStrategy, RawDescriptor};
pub use self::interface::{
    AbiFuture, BackendApi, BackendObject, HostApi, HostObject, LogObject, LogSink, LogSinkObject, LogSource,
    Module, ModuleRef, TraceRecord,
};
pub use self::layout::{LinkError, ROOT_SYMBOL, RootHeader, root_header, root_module};
pub use self::wire::Wire;

pub(crate) use self::interface::{BackendApi_TO, HostApi_TO, LogSink_TO, LogSource_TO};
pub(crate) use self::wire::{show_field, wire_number, wire_struct};
