//! Plugins that another compiler has built than the host. Where there is no other compiler, that is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hearth_host::plugin;

use crate::backends::{begin, build_with, unmet};
use crate::support::leave_out;

/// Another compiler, and a folder for what it builds.
struct Compiler {
    rustc: PathBuf,
    flags: &'static str,
    folder: PathBuf,
}

impl Compiler {
    /// Debian's, which is older: unpacked, not installed.
    fn of_debian() -> Result<Self, String> {
        let folder = folder("debian-rustc");
        let rustc = folder.join("rustc");
        if !rustc.is_file() {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/debian-rustc.sh");
            said(Command::new("sh").arg(script).arg(&folder))?;
        }
        Ok(Self { rustc, flags: "", folder })
    }

    /// The nightly one, told to order the fields of structs by chance.
    fn nightly() -> Result<Self, String> {
        let rustc = said(Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]))?;
        let rustc = PathBuf::from(rustc.trim());
        Ok(Self { rustc, flags: "-Zrandomize-layout", folder: folder("nightly-rustc") })
    }

    /// Has it build a project as `hearth backend new` writes it, which must then load and keep every promise.
    #[track_caller]
    fn check(&self) {
        let project = self.folder.join("project");
        if project.exists() {
            fs::remove_dir_all(&project).unwrap();
        }
        begin("other", &project);
        let mut cargo = Command::new(env!("CARGO"));
        cargo.arg("build").env("RUSTC", &self.rustc).env("RUSTFLAGS", self.flags);
        let target = self.folder.join("target");
        let library = build_with(&mut cargo, &project, &target).join("libhearth_backend_other.so");
        let version = said(Command::new(&self.rustc).arg("--version")).unwrap();
        let descriptor = plugin::describe(&library).unwrap();
        assert_eq!(format!("rustc {}", descriptor.rustc_version), version.trim());
        let (failed, passed) = unmet(&[library.to_str().unwrap()]);
        assert_eq!(failed, Vec::<String>::new(), "{version}");
        assert!(passed >= 11, "{passed}");
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What a command writes; what it complains of, if it fails.
fn said(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {name}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "))
    }
}

#[track_caller]
fn check(compiler: &str, found: Result<Compiler, String>) {
    match found {
        Ok(compiler) => compiler.check(),
        Err(why) => leave_out(&format!("a plugin built by {compiler}"), &why),
    }
}

#[test]
fn a_plugin_built_by_debians_compiler_loads_and_conforms() {
    check("Debian's rustc", Compiler::of_debian());
}

#[test]
fn a_plugin_built_with_another_layout_of_structs_loads_and_conforms() {
    check("the nightly rustc", Compiler::nightly());
}
