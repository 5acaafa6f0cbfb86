//! A shell that outlives the host, and kills what a killed host would leave behind.
//!
//! The kernel kills the leader of each process group when the host dies, but not the leader's own children.
//! The guard reads from a pipe that ends with the host, and has been told every group that is alive.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Keeps the numbers of the living groups as ` 12  345 `, and kills them when there is nothing more to read.
const SCRIPT: &str = r#"
groups=''
while read -r verb group; do
    case $verb in
        + ) groups="$groups $group " ;;
        - ) case $groups in *" $group "*) groups="${groups%% $group *}${groups#* $group }" ;; esac ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"#;

/// The guard, while the host lives. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Guard(Mutex<Option<Child>>);

impl Guard {
    /// Without a shell there is no guard, and that is not worth an error.
    pub(crate) fn start() -> Self {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        if let Err(error) = &child {
            tracing::warn!(%error, "there is no guard: children of functions may survive a host that is killed");
        }
        Self(Mutex::new(child.ok()))
    }

    pub(crate) fn born(&self, group: i32) {
        self.tell('+', group);
    }

    pub(crate) fn gone(&self, group: i32) {
        self.tell('-', group);
    }

    fn tell(&self, verb: char, group: i32) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = child
            .as_mut()
            .and_then(|child| child.stdin.as_mut())
            .map(|stdin| writeln!(stdin, "{verb} {group}"));
        if let Some(Err(error)) = told {
            tracing::warn!(%error, "the guard is gone: children of functions may survive a host that is killed");
            *child = None;
        }
    }

    /// Ends it, now that there is nothing left to guard.
    pub(crate) fn dismiss(&self) -> io::Result<()> {
        let child = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut child) = child else { return Ok(()) };
        drop(child.stdin.take());
        child.wait().map(drop)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.dismiss());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn what_was_not_reported_gone_is_killed_when_the_guard_has_nothing_more_to_read() {
        let guard = Guard::start();
        let start = || Command::new("/bin/sleep").arg("3600").process_group(0).spawn().unwrap();
        let mut sleepers: Vec<_> = (0..4).map(|_| start()).collect();
        let group = |child: &Child| i32::try_from(child.id()).unwrap();
        for child in &sleepers {
            guard.born(group(child));
        }
        for spared in [2, 0] {
            guard.gone(group(&sleepers[spared]));
        }
        guard.dismiss().unwrap();
        let ended = |child: &mut Child| child.wait().unwrap().signal();
        assert_eq!([ended(&mut sleepers[1]), ended(&mut sleepers[3])], [Some(9), Some(9)]);
        for spared in [0, 2] {
            assert_eq!(sleepers[spared].try_wait().unwrap(), None);
            sleepers[spared].kill().unwrap();
            sleepers[spared].wait().unwrap();
        }
    }
}
