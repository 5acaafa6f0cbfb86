//! What a new process does to itself before it becomes the function.
#![expect(unsafe_code, reason = "the standard library has no safe way to run code between fork and exec")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getegid, geteuid, getpid, getppid, write};

use crate::config::Confinement;

/// Adds the confinement to a command, and that its process dies with the thread that starts it.
pub(super) fn confine(command: &mut Command, confinement: &Confinement) {
    let steps = Steps::prepare(confinement);
    // SAFETY: between fork and exec only async-signal-safe functions may be called. `take` makes system calls
    // with arguments that were built before the fork; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(move || steps.take().map_err(io::Error::from)) };
}

/// Everything that has to be allocated, made while it still may be.
struct Steps {
    parent: Pid,
    open_files: Option<u64>,
    no_core_files: bool,
    mounts: Option<Mounts>,
}

/// What the process sees in the place of something else.
struct Mounts {
    /// Each with the place where it is seen.
    binds: Vec<(CString, &'static CStr)>,
    /// Without privileges a mount namespace needs a user namespace around it, in which we stay who we are.
    identity: Option<[(&'static CStr, Vec<u8>); 3]>,
}

impl Steps {
    fn prepare(confinement: &Confinement) -> Self {
        let Confinement { open_files, no_core_files, private_tmp, hosts } = confinement;
        // A path with a zero byte does not exist, and an empty one cannot be mounted.
        let text = |path: &PathBuf| CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        // `/tmp` last, since it may hide the others.
        let binds: Vec<_> = [(hosts, c"/etc/hosts"), (private_tmp, c"/tmp")]
            .into_iter()
            .filter_map(|(path, place)| Some((text(path.as_ref()?), place)))
            .collect();
        let mounts = (!binds.is_empty()).then(|| Mounts {
            binds,
            identity: (!geteuid().is_root()).then(|| {
                let (user, group) = (geteuid(), getegid());
                [
                    (c"/proc/self/setgroups", b"deny".to_vec()),
                    (c"/proc/self/uid_map", format!("{user} {user} 1").into_bytes()),
                    (c"/proc/self/gid_map", format!("{group} {group} 1").into_bytes()),
                ]
            }),
        });
        Self { parent: getpid(), open_files: *open_files, no_core_files: *no_core_files, mounts }
    }

    fn take(&self) -> nix::Result<()> {
        if let Some(mounts) = &self.mounts {
            mounts.enter()?;
        }
        if let Some(limit) = self.open_files {
            setrlimit(Resource::RLIMIT_NOFILE, limit, limit)?;
        }
        if self.no_core_files {
            setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        }
        // Last, because entering a user namespace takes the setting back.
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid() == self.parent { Ok(()) } else { Err(Errno::ESRCH) }
    }
}

impl Mounts {
    fn enter(&self) -> nix::Result<()> {
        const NOTHING: Option<&str> = None;
        match &self.identity {
            None => unshare(CloneFlags::CLONE_NEWNS)?,
            Some(files) => {
                unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
                for (path, content) in files {
                    write(open(*path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?, content)?;
                }
            }
        }
        mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
        for (path, place) in &self.binds {
            mount(Some(path.as_c_str()), *place, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        }
        Ok(())
    }
}
