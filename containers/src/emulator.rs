//! What stands in front of an image's bootstrap: Hearth's emulator, a file that any container can run, or the image's
//! own.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hearth_artifacts::folder;
use hearth_core::{BackendError, ErrorKind, LaunchSpec, Meta, Result};
use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use serde::{Deserialize, Serialize};

/// The name of Hearth's emulator, in whatever folder.
pub const NAME: &str = "rie";
/// Where AWS's images have theirs.
pub const OF_AWS: &str = "/usr/local/bin/aws-lambda-rie";
/// What AWS's images start, with an emulator in front of it.
pub const BOOTSTRAP: &str = "/var/runtime/bootstrap";
/// The variable with the token of the instance, which nobody else is to know.
pub const TOKEN: &str = "HEARTH_RIE_TOKEN";
/// The tag of a function that says what stands in front of its bootstrap.
const TAG: &str = "tag.hearth.emulator";

/// What stands in front of an image's bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emulator {
    /// Hearth's, in every image.
    Hearth,
    /// The image's own: AWS's, in AWS's images.
    Image,
}

impl Emulator {
    /// The one that a function is to have: what its tag says, or what the settings say.
    pub fn of(spec: &LaunchSpec, configured: Self) -> Result<Self> {
        match spec.meta.get(TAG).map(String::as_str) {
            None => Ok(configured),
            Some("hearth") => Ok(Self::Hearth),
            Some("image") => Ok(Self::Image),
            Some(other) => Err(BackendError::new(
                ErrorKind::SPEC_REJECTED,
                format!("the tag hearth.emulator is `{other}`: it can be `hearth` or `image`"),
            )),
        }
    }

    /// What the emulator must know, by its environment. `memory_mb` is what it holds the function's processes to.
    pub fn environment(self, spec: &LaunchSpec, freeze: bool, memory_mb: Option<u32>) -> Meta {
        let mut all = Meta::new();
        let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
        if spec.slots > 1 {
            set("AWS_LAMBDA_MAX_CONCURRENCY", spec.slots.to_string());
        }
        if self == Self::Image {
            set("AWS_LAMBDA_FUNCTION_TIMEOUT", spec.timeout_ms.div_ceil(1000).to_string());
            return all;
        }
        set(TOKEN, spec.token.clone());
        set("HEARTH_RIE_INIT_MS", spec.init_timeout_ms.to_string());
        set("HEARTH_RIE_FREEZE", u8::from(freeze).to_string());
        if let Some(level) = spec.meta.get("log.system_level") {
            set("HEARTH_RIE_SYSTEM_LOG_LEVEL", level.clone());
        }
        if let Some(limit) = memory_mb {
            set("HEARTH_RIE_MEMORY_MB", limit.to_string());
        }
        all
    }
}

/// The words that start an image, which the image or the function gives, without an emulator that is among them.
pub fn without_emulator(words: impl IntoIterator<Item = String>) -> impl Iterator<Item = String> {
    words.into_iter().filter(|word| !word.ends_with("/aws-lambda-rie"))
}

/// Where Hearth's emulator may be.
#[derive(Clone, Debug)]
pub struct Places<'a> {
    /// The section of the settings that can name it, `backends.docker`.
    pub section: &'a str,
    /// The file that the user names; no other is looked at then.
    pub named: Option<&'a Path>,
    /// Folders with the programs of Hearth.
    pub programs: &'a [PathBuf],
}

impl Places<'_> {
    /// Finds the emulator for an architecture and puts it into a folder of its own in the directory of a backend. The
    /// folder's name says what is in it.
    pub fn install(&self, architecture: &str, state: &Path) -> Result<PathBuf> {
        let (path, content) = self.find(architecture)?;
        put(&content, state).map_err(|error| {
            BackendError::config(format!("{} cannot be copied to {}", path.display(), state.display()))
                .caused_by(&error)
        })
    }

    /// The first file that would run in a container; the error names each that would not.
    fn find(&self, architecture: &str) -> Result<(PathBuf, Vec<u8>)> {
        let usual = self.programs.iter();
        let usual = usual.flat_map(|folder| [folder.join(format!("rie-{architecture}")), folder.join(NAME)]);
        let candidates: Vec<_> = self.named.map_or_else(|| usual.collect(), |named| vec![named.to_owned()]);
        let mut unfit = Vec::new();
        for path in candidates {
            let read = fs::read(&path).map_err(|error| error.to_string());
            match read.and_then(|content| check(content, architecture)) {
                Ok(content) => return Ok((path, content)),
                Err(problem) => unfit.push(format!("{} ({problem})", path.display())),
            }
        }
        Err(BackendError::config(format!(
            "there is no emulator for {architecture} containers: {}; name it with `rie` in [{}], or set \
             `emulator = \"image\"` there to use those that images have",
            unfit.join(", "),
            self.section
        )))
    }
}

/// Folders that have programs of Hearth: of this plugin, of the host, of installations. `plugin` is the name of the
/// plugin's file.
pub fn programs(plugin: &str) -> Vec<PathBuf> {
    let folder = |path: PathBuf| path.parent().map(PathBuf::from);
    let host = std::env::current_exe().ok().and_then(folder);
    let libraries = host.as_ref().map(|host| host.join("../lib/hearth"));
    let installed = ["/usr/local/lib/hearth", "/usr/lib/hearth"].map(PathBuf::from);
    let own = loaded_from(plugin).and_then(folder);
    let mut folders = Vec::new();
    own.into_iter().chain(host).chain(libraries).chain(installed).for_each(|folder| {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    });
    folders
}

/// The file of this name that code of this process was loaded from, as the system knows it.
fn loaded_from(plugin: &str) -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths.map(PathBuf::from).find(|path| path.file_name().is_some_and(|name| name == plugin))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_cannot_run_is_passed_over_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let programs = [folder.path().to_owned()];
        let places = Places { section: "backends.docker", named: None, programs: &programs };
        // This very test needs shared libraries.
        fs::copy(std::env::current_exe().unwrap(), folder.path().join("rie")).unwrap();
        fs::write(folder.path().join("rie-arm64"), "#!/bin/sh").unwrap();
        let error = places.find("arm64").unwrap_err().to_string();
        let at = |name| folder.path().join(name).display().to_string();
        let shell = format!("{} (no executable of Linux)", at("rie-arm64"));
        assert!(error.contains(&shell), "{error}");
        if cfg!(target_arch = "x86_64") {
            assert!(error.contains(&format!("{} (for another architecture)", at("rie"))), "{error}");
            let error = places.find("x86_64").unwrap_err().to_string();
            assert!(error.contains(&format!("{} (needs shared libraries, ", at("rie"))), "{error}");
        }
    }

    #[test]
    fn the_tag_of_a_function_goes_before_the_settings() {
        let with = |tag: Option<&str>| LaunchSpec {
            meta: tag.map(|value| (TAG.to_owned(), value.to_owned())).into_iter().collect(),
            ..LaunchSpec::default()
        };
        assert_eq!(Emulator::of(&with(None), Emulator::Image).unwrap(), Emulator::Image);
        assert_eq!(Emulator::of(&with(Some("hearth")), Emulator::Image).unwrap(), Emulator::Hearth);
        let error = Emulator::of(&with(Some("aws")), Emulator::Image).unwrap_err();
        assert_eq!(error.to_string(), "the tag hearth.emulator is `aws`: it can be `hearth` or `image`");
    }
}
