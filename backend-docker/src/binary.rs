//! Hearth's emulator as a file that any container can run.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hearth_artifacts::folder;
use hearth_core::{BackendError, Result};
use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::config::{Config, Places};

/// The name of the emulator in its folder.
pub(crate) const NAME: &str = "rie";

/// Finds the emulator for an architecture and puts it into a folder of its own, which can be mounted.
pub(crate) fn install(config: &Config, places: &Places, architecture: &str, state: &Path) -> Result<PathBuf> {
    let (path, content) = find(config, places, architecture)?;
    put(&content, state).map_err(|error| {
        BackendError::config(format!("{} cannot be copied to {}", path.display(), state.display()))
            .caused_by(&error)
    })
}

/// The first file that would run; the error names each that would not.
fn find(config: &Config, places: &Places, architecture: &str) -> Result<(PathBuf, Vec<u8>)> {
    let named = config.rie.iter().cloned();
    let usual = places.programs.iter();
    let usual = usual.flat_map(|folder| [folder.join(format!("rie-{architecture}")), folder.join(NAME)]);
    let candidates: Vec<_> = if config.rie.is_some() { named.collect() } else { usual.collect() };
    let mut unfit = Vec::new();
    for path in candidates {
        match fs::read(&path)
            .map_err(|error| error.to_string())
            .and_then(|content| check(content, architecture))
        {
            Ok(content) => return Ok((path, content)),
            Err(problem) => unfit.push(format!("{} ({problem})", path.display())),
        }
    }
    Err(BackendError::config(format!(
        "there is no emulator for {architecture} containers: {}; name it with `rie` in [backends.docker], or set \
         `emulator = \"image\"` there to use those that images have",
        unfit.join(", ")
    )))
}

fn check(content: Vec<u8>, architecture: &str) -> Result<Vec<u8>, String> {
    let machine = if architecture == "arm64" { EM_AARCH64 } else { EM_X86_64 };
    let header = FileHeader64::<Endianness>::parse(&*content).map_err(|_| "no executable of Linux")?;
    let endian = header.endian().map_err(|error| error.to_string())?;
    if header.e_machine(endian) != machine {
        return Err("for another architecture".to_owned());
    }
    let parts = header.program_headers(endian, &*content).map_err(|error| error.to_string())?;
    if parts.iter().any(|part| part.p_type(endian) == PT_INTERP) {
        return Err("needs shared libraries, which a container may not have".to_owned());
    }
    Ok(content)
}

fn put(content: &[u8], state: &Path) -> io::Result<PathBuf> {
    let digest = folder::name_of_bytes(content);
    let target = state.join("emulators").join(digest);
    if !target.exists() {
        folder::create(&target, |new| {
            let file = new.join(NAME);
            fs::write(&file, content)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
        })?;
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_cannot_run_is_passed_over_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { programs: vec![folder.path().to_owned()], ..Places::default() };
        let config = Config::default();
        // This very test needs shared libraries.
        fs::copy(std::env::current_exe().unwrap(), folder.path().join("rie")).unwrap();
        fs::write(folder.path().join("rie-arm64"), "#!/bin/sh").unwrap();
        let error = find(&config, &places, "arm64").unwrap_err().to_string();
        let at = |name| folder.path().join(name).display().to_string();
        let shell = format!("{} (no executable of Linux)", at("rie-arm64"));
        assert!(error.contains(&shell), "{error}");
        if cfg!(target_arch = "x86_64") {
            assert!(error.contains(&format!("{} (for another architecture)", at("rie"))), "{error}");
            let error = find(&config, &places, "x86_64").unwrap_err().to_string();
            assert!(error.contains(&format!("{} (needs shared libraries, ", at("rie"))), "{error}");
        }
    }
}
