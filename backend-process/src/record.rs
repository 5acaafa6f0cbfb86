//! What is written down about an instance, so that a later host process finds what this one left behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// One instance, on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) handle: String,
    pub(crate) owner: String,
    pub(crate) epoch: String,
    pub(crate) function: String,
    pub(crate) deploy_id: String,
    /// The process groups that live: the function's, and those of its extensions.
    #[serde(default)]
    pub(crate) groups: Vec<GroupMark>,
}

/// A process group, and how to tell it from another one that was given the same number later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupMark {
    pub(crate) id: i32,
    /// A variable, `NAME=value`, that only its processes have in their environment.
    pub(crate) mark: String,
}

/// The folders of all instances.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(crate) fn new(state: &Path) -> Self {
        Self { folder: state.join("instances") }
    }

    /// Makes the folder of an instance, with the record and its temporary folder in it.
    pub(crate) fn create(&self, record: &Record) -> io::Result<PathBuf> {
        let folder = self.folder_of(&record.handle);
        hearth_artifacts::folder::create(&folder, |new| {
            fs::create_dir(new.join("tmp"))?;
            record.write(new)
        })?;
        Ok(folder)
    }

    /// Removes all that an instance had on disk.
    pub(crate) fn remove(&self, handle: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.folder_of(handle)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All instances that there is a record of.
    pub(crate) fn all(&self) -> Vec<Record> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| Record::read(&entry.path()).ok()).collect()
    }

    fn folder_of(&self, handle: &str) -> PathBuf {
        self.folder.join(handle)
    }
}

impl Record {
    const FILE: &'static str = "instance.json";

    fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(folder.join(Self::FILE))?)?)
    }

    /// Replaces what was written before in one step.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let unfinished = folder.join("instance.json.unfinished");
        fs::write(&unfinished, serde_json::to_vec(self)?)?;
        fs::rename(unfinished, folder.join(Self::FILE))
    }
}

impl GroupMark {
    /// Kills what is left of the group, and waits until it is gone.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        const TRIES: u32 = 200;
        for _ in 0..TRIES {
            let left = self.processes();
            if left.is_empty() {
                return Ok(());
            }
            for process in left {
                // That it has ended meanwhile is what is wanted.
                let _ = kill(process, Signal::SIGKILL);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(io::Error::other(format!("process group {} does not end", self.id)))
    }

    /// The processes that are of the group and carry its mark. One that has ended carries nothing.
    fn processes(&self) -> Vec<Pid> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter(|number| self.has(*number)).map(Pid::from_raw).collect()
    }

    fn has(&self, number: i32) -> bool {
        let folder = PathBuf::from(format!("/proc/{number}"));
        let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        let group = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(2)?.parse().ok());
        let environment = || fs::read(folder.join("environ")).unwrap_or_default();
        group == Some(self.id)
            && environment().split(|byte| *byte == 0).any(|one| one == self.mark.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn only_a_process_of_the_group_that_carries_the_mark_is_killed() {
        let start = |mark: &str| {
            Command::new("/bin/sleep").arg("3600").env("MARK", mark).process_group(0).spawn().unwrap()
        };
        let (mut ours, mut other) = (start("ours"), start("other"));
        let mark = |child: &std::process::Child| GroupMark {
            id: i32::try_from(child.id()).unwrap(),
            mark: "MARK=ours".to_owned(),
        };
        let (mark_of_ours, mark_of_other) = (mark(&ours), mark(&other));
        mark_of_other.kill().await.unwrap();
        assert_eq!(other.try_wait().unwrap(), None, "another one was given the number");
        mark_of_ours.kill().await.unwrap();
        assert_eq!(ours.wait().unwrap().signal(), Some(9));
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_record_is_found_until_it_is_removed() {
        let state = tempfile::tempdir().unwrap();
        let records = Records::new(state.path());
        assert_eq!(records.all(), []);
        let mut record = Record {
            handle: "i-1".into(),
            owner: "o".into(),
            epoch: "e".into(),
            function: "f".into(),
            deploy_id: "d".into(),
            groups: Vec::new(),
        };
        let folder = records.create(&record).unwrap();
        record.groups.push(GroupMark { id: 7, mark: "A=b".into() });
        record.write(&folder).unwrap();
        assert_eq!(records.all(), [record]);
        records.remove("i-1").unwrap();
        records.remove("i-1").unwrap();
        assert_eq!(records.all(), []);
    }
}
