//! The record by which a plugin's file is known before any of its code runs.

use std::fmt;

use crate::Capabilities;

/// Major version of the interface: that of this crate. Others are refused.
pub const ABI_MAJOR: u32 = 1;

/// Minor version of the interface: that of this crate. Older and newer ones load.
pub const ABI_MINOR: u32 = 0;

const MAGIC: [u8; 16] = *b"\x7fHEARTH-BACKEND\n";
const END: [u8; 16] = *b"\nBACKEND-HEARTH\x7f";

/// What lies in the file, between two marks, found by looking for them.
///
/// Frozen for ever, over all major versions, because it is what tells them apart. It has no pointer, so that
/// its bytes in the file are its bytes in memory.
#[repr(C)]
#[derive(Debug)]
pub struct RawDescriptor {
    magic: [u8; 16],
    abi_major: u32,
    abi_minor: u32,
    panic_strategy: u32,
    reserved: u32,
    capabilities: u64,
    name: [u8; 64],
    version: [u8; 32],
    core_version: [u8; 32],
    rustc_version: [u8; 72],
    end: [u8; 16],
}

/// What a plugin's file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Short name of the backend, as in `export_backend!`.
    pub name: String,
    /// Version of the backend.
    pub version: String,
    /// Version of the interface that it was built against.
    pub abi_major: u32,
    /// Version of the interface that it was built against.
    pub abi_minor: u32,
    /// Version of `hearth-core` that it was built with.
    pub core_version: String,
    /// Compiler that built it.
    pub rustc_version: String,
    /// What a panic does in it.
    pub panic_strategy: PanicStrategy,
    /// What it can announce: [`Plugin::CAPABILITIES`](crate::Plugin::CAPABILITIES).
    pub capabilities: Capabilities,
}

/// What a panic does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicStrategy {
    /// It becomes the error of one call.
    Unwind,
    /// It ends the process, the host with it.
    Abort,
}

impl RawDescriptor {
    /// What a file that holds a descriptor contains; it may do so more than once.
    pub const MAGIC: &'static [u8] = &MAGIC;

    /// The record of a backend that is built with this crate.
    pub const fn new(name: &str, version: &str, capabilities: Capabilities) -> Self {
        Self {
            magic: MAGIC,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            panic_strategy: if cfg!(panic = "unwind") { 1 } else { 2 },
            reserved: 0,
            capabilities: capabilities.bits(),
            name: padded(name),
            version: padded(version),
            core_version: padded(env!("CARGO_PKG_VERSION")),
            rustc_version: padded(env!("HEARTH_RUSTC_VERSION")),
            end: END,
        }
    }
}

impl Descriptor {
    /// Reads the record that begins with `bytes`, if one does.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let is_magic = take::<16>(&mut rest)? == MAGIC;
        let mut number = || take(&mut rest).map(u32::from_ne_bytes);
        let (abi_major, abi_minor, panic_strategy, _reserved) = (number()?, number()?, number()?, number()?);
        let capabilities = Capabilities::from_bits(u64::from_ne_bytes(take(&mut rest)?));
        let descriptor = Self {
            abi_major,
            abi_minor,
            panic_strategy: if panic_strategy == 1 { PanicStrategy::Unwind } else { PanicStrategy::Abort },
            capabilities,
            name: text(&take::<64>(&mut rest)?)?,
            version: text(&take::<32>(&mut rest)?)?,
            core_version: text(&take::<32>(&mut rest)?)?,
            rustc_version: text(&take::<72>(&mut rest)?)?,
        };
        let is_end = take::<16>(&mut rest)? == END;
        (is_magic && is_end).then_some(descriptor)
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, abi_major, abi_minor, core_version, rustc_version, .. } = self;
        write!(
            f,
            "{name} {version} (interface {abi_major}.{abi_minor}, hearth-core {core_version}, rustc {rustc_version})"
        )
    }
}

/// `text` and zeros after it; what does not fit is cut off, and the last byte is always zero.
const fn padded<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut padded = [0; N];
    let mut at = 0;
    while at < bytes.len() && at < N - 1 {
        padded[at] = bytes[at];
        at += 1;
    }
    padded
}

/// What [`padded`] was made from.
fn text(padded: &[u8]) -> Option<String> {
    let end = padded.iter().position(|&byte| byte == 0)?;
    String::from_utf8(padded[..end].to_vec()).ok()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
#[expect(unsafe_code, reason = "looks at a record as the bytes that lie in a file")]
mod tests {
    use super::*;

    fn bytes(raw: &RawDescriptor) -> &[u8] {
        let start = std::ptr::from_ref(raw).cast::<u8>();
        // SAFETY: `repr(C)` without padding (checked below), so that all its bytes are initialised; the slice
        // borrows `raw`.
        unsafe { std::slice::from_raw_parts(start, size_of::<RawDescriptor>()) }
    }

    #[test]
    fn a_record_is_read_back_from_its_bytes() {
        let raw = RawDescriptor::new("mock", "1.2.3", Capabilities::LIST);
        let descriptor = Descriptor::parse(bytes(&raw)).expect("it is whole");
        assert_eq!(
            (descriptor.name.as_str(), descriptor.version.as_str(), descriptor.capabilities),
            ("mock", "1.2.3", Capabilities::LIST)
        );
        assert_eq!((descriptor.abi_major, descriptor.abi_minor), (ABI_MAJOR, ABI_MINOR));
        assert_eq!(descriptor.panic_strategy, PanicStrategy::Unwind);
        assert!(!descriptor.rustc_version.is_empty());
    }

    #[test]
    fn the_layout_of_the_record_never_changes() {
        let fields = [16, 4, 4, 4, 4, 8, 64, 32, 32, 72, 16];
        assert_eq!(fields.iter().sum::<usize>(), size_of::<RawDescriptor>(), "no padding, no new field");
        assert_eq!(size_of::<RawDescriptor>(), 256);
    }

    #[test]
    fn a_record_that_is_cut_off_or_overwritten_is_none() {
        let raw = RawDescriptor::new("mock", "1.2.3", Capabilities::NONE);
        let bytes = bytes(&raw);
        for length in 0..bytes.len() {
            assert_eq!(Descriptor::parse(&bytes[..length]), None, "{length} bytes");
        }
        for at in [0, 15, 240, 255] {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert_eq!(Descriptor::parse(&damaged), None, "byte {at}");
        }
    }

    #[test]
    fn the_interface_has_the_version_of_the_crate() {
        let version: Vec<u32> = env!("CARGO_PKG_VERSION").split('.').flat_map(str::parse).collect();
        assert_eq!(version[..2], [ABI_MAJOR, ABI_MINOR]);
    }

    #[test]
    fn text_that_is_too_long_is_cut_off() {
        assert_eq!(text(&padded::<4>("long")).as_deref(), Some("lon"));
        assert_eq!(text(&padded::<8>("long")).as_deref(), Some("long"));
    }
}
