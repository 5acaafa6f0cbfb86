//! What a new process does to itself before it becomes the function.
#![expect(unsafe_code, reason = "the standard library has no safe way to run code between fork and exec")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
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
    private_tmp: Option<PrivateTmp>,
}

struct PrivateTmp {
    directory: CString,
    /// Without privileges a mount namespace needs a user namespace around it, in which we stay who we are.
    identity: Option<[(&'static std::ffi::CStr, Vec<u8>); 3]>,
}

impl Steps {
    fn prepare(confinement: &Confinement) -> Self {
        let private_tmp = confinement.private_tmp.as_ref().map(|directory| PrivateTmp {
            // A path with a zero byte does not exist, and an empty one cannot be mounted.
            directory: CString::new(directory.as_os_str().as_bytes()).unwrap_or_default(),
            identity: (!geteuid().is_root()).then(|| {
                let (user, group) = (geteuid(), getegid());
                [
                    (c"/proc/self/setgroups", b"deny".to_vec()),
                    (c"/proc/self/uid_map", format!("{user} {user} 1").into_bytes()),
                    (c"/proc/self/gid_map", format!("{group} {group} 1").into_bytes()),
                ]
            }),
        });
        let Confinement { open_files, no_core_files, .. } = *confinement;
        Self { parent: getpid(), open_files, no_core_files, private_tmp }
    }

    fn take(&self) -> nix::Result<()> {
        if let Some(tmp) = &self.private_tmp {
            tmp.enter()?;
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

impl PrivateTmp {
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
        mount(Some(self.directory.as_c_str()), "/tmp", NOTHING, MsFlags::MS_BIND, NOTHING)
    }
}
