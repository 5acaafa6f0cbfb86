//! Says that it is a backend, but has no interface.

use hearth_core::Capabilities;
use hearth_core::abi::RawDescriptor;

#[unsafe(no_mangle)]
pub static HEARTH_BACKEND_DESCRIPTOR: RawDescriptor =
    RawDescriptor::new("descriptor-only", "0.0.0", Capabilities::NONE);
