//! Looking at a plugin's file without running any of it.

use std::env::consts::ARCH;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use hearth_core::foreign::{ABI_MAJOR, Descriptor, PanicStrategy, RawDescriptor};
use memchr::memmem;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, elf};
use sha2::{Digest as _, Sha256};

use super::Problem;

/// Everything that can be said against a file from outside.
pub(super) fn vet(path: &Path, sha256: Option<&str>) -> Result<Descriptor, Problem> {
    let metadata = look_at(path)?;
    if is_writable_by_others(metadata.mode(), metadata.uid(), metadata.gid()) {
        return Err(Problem::WritableByOthers { mode: metadata.mode() & 0o7777, path: path.to_owned() });
    }
    let file = fs::read(path)?;
    if let Some(expected) = sha256 {
        check_digest(&file, expected)?;
    }
    let descriptor = descriptor_in(&file)?;
    check_interface(&descriptor)?;
    Ok(descriptor)
}

/// What a file says of itself.
pub(super) fn describe(path: &Path) -> Result<Descriptor, Problem> {
    look_at(path)?;
    descriptor_in(&fs::read(path)?)
}

fn look_at(path: &Path) -> Result<Metadata, Problem> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(metadata),
        Ok(_) => Err(Problem::NotAFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Problem::Missing),
        Err(error) => Err(error.into()),
    }
}

/// Whether anybody but the owner may write to it. A group that has the owner's number is the owner's own, as
/// most distributions make them, and so does not count: their default is to let the group write.
fn is_writable_by_others(mode: u32, uid: u32, gid: u32) -> bool {
    let is_own_group = gid == uid && uid != 0;
    mode & 0o002 != 0 || (mode & 0o020 != 0 && !is_own_group)
}

fn check_digest(file: &[u8], expected: &str) -> Result<(), Problem> {
    let found = Sha256::digest(file).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    if found.eq_ignore_ascii_case(expected.trim()) {
        return Ok(());
    }
    Err(Problem::Digest { expected: expected.to_owned(), found })
}

fn descriptor_in(file: &[u8]) -> Result<Descriptor, Problem> {
    check_elf(file)?;
    memmem::find_iter(file, RawDescriptor::MAGIC)
        .find_map(|at| Descriptor::parse(&file[at..]))
        .ok_or(Problem::NotABackend)
}

/// The system's loader maps what the headers say without asking how long the file is, and touching a page that
/// is not there ends the process.
fn check_elf(file: &[u8]) -> Result<(), Problem> {
    if !file.starts_with(&elf::ELFMAG) {
        return if cfg!(target_os = "linux") { Err(Problem::NotALibrary) } else { Ok(()) };
    }
    let size = file.len() as u64;
    let cut_off = |_unreadable| Problem::Truncated { expected: size + 1, found: size };
    let header = FileHeader64::<Endianness>::parse(file).map_err(cut_off)?;
    let endian = header.endian().map_err(cut_off)?;
    check_machine(header.e_machine(endian))?;
    let segments = header.program_headers(endian, file).map_err(cut_off)?;
    let ends = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        .map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    match ends.max() {
        Some(end) if end > size => Err(Problem::Truncated { expected: end, found: size }),
        Some(_) => Ok(()),
        None => Err(Problem::NotALibrary),
    }
}

/// Names as in [`ARCH`].
const MACHINES: [(elf::Machine, &str); 3] =
    [(elf::EM_X86_64, "x86_64"), (elf::EM_AARCH64, "aarch64"), (elf::EM_RISCV, "riscv64")];

/// The system's loader would say that there is no such file.
fn check_machine(machine: elf::Machine) -> Result<(), Problem> {
    let known = MACHINES.iter().find(|(known, _)| *known == machine).map(|(_, name)| *name);
    let is_ours_known = MACHINES.iter().any(|(_, name)| *name == ARCH);
    if known == Some(ARCH) || !is_ours_known {
        return Ok(());
    }
    let found = known.map_or_else(|| format!("ELF machine {}", machine.0), str::to_owned);
    Err(Problem::OtherMachine { found })
}

fn check_interface(descriptor: &Descriptor) -> Result<(), Problem> {
    if descriptor.abi_major != ABI_MAJOR {
        return Err(Problem::OtherInterface { plugin: Box::new(descriptor.clone()) });
    }
    match descriptor.panic_strategy {
        PanicStrategy::Unwind => Ok(()),
        PanicStrategy::Abort => Err(Problem::PanicAbort),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_the_owners_own_group_may_write() {
        // (mode, user, group, writable by others)
        let table = [
            (0o100_755, 1000, 1000, false),
            (0o100_775, 1000, 1000, false),
            (0o100_775, 1000, 100, true),
            (0o100_775, 0, 0, true),
            (0o100_757, 1000, 1000, true),
            (0o100_644, 0, 0, false),
        ];
        for (mode, uid, gid, expected) in table {
            assert_eq!(is_writable_by_others(mode, uid, gid), expected, "{mode:o} {uid}:{gid}");
        }
    }

    #[test]
    fn a_digest_is_compared_without_regard_to_case() {
        let digest = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        assert!(check_digest(b"abc", digest).is_ok());
        let refused = check_digest(b"abd", digest).expect_err("another file").to_string();
        assert!(refused.ends_with(&format!("but {digest} is configured")), "{refused}");
    }

    #[test]
    fn what_is_not_a_library_is_refused_by_its_first_bytes() {
        assert!(matches!(check_elf(b"#!/bin/sh\n"), Err(Problem::NotALibrary)));
        assert!(matches!(check_elf(b"\x7fELF\x02"), Err(Problem::Truncated { .. })));
    }
}
