//! Opening a vetted file.

#![expect(unsafe_code, reason = "runs the code of a file that the user chose to load")]

use std::error::Error as _;
use std::ffi::c_void;
use std::path::Path;

use hearth_core::foreign::{Descriptor, ForeignModule, LinkError, ROOT_SYMBOL};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::Problem;

/// Opens the library at `path`, for ever, and joins it to this host.
pub(super) fn open(path: &Path, descriptor: &Descriptor, log_filter: &str) -> Result<ForeignModule, Problem> {
    // An absolute path, because the system's loader looks for a bare name in folders of its own.
    let path = std::path::absolute(path)?;
    // SAFETY: opening a library runs its initialisers. Those of a backend are the ones that the compiler and the
    // standard library put there; the user asked for this file, and only its owner can have written it.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| Problem::Open(innermost(&error)))?;
    // SAFETY: only the symbol's address is taken; `join` checks what lies there.
    let symbol = unsafe { library.get::<*const c_void>(ROOT_SYMBOL.as_bytes()) };
    let root = *symbol.map_err(|_missing| Problem::NoRoot(ROOT_SYMBOL))?;
    std::mem::forget(library);
    // SAFETY: the address is that of the symbol, and the library was just made to stay.
    let joined = unsafe { ForeignModule::join(root, descriptor, log_filter) };
    joined.map_err(|error| {
        if let LinkError::Layout { report, .. } = &error {
            tracing::debug!(%report, "the plugin's types do not match");
        }
        error.into()
    })
}

/// The loader's own words are in the source of the error.
fn innermost(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
