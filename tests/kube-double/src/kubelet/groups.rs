//! Control groups: the memory limit of a container, and whether it was hit. Both kinds of hierarchy; where neither can be
//! written there is no limit.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::admission::Quantity;

const FIRST: &str = "/sys/fs/cgroup/memory";
const SECOND: &str = "/sys/fs/cgroup";
/// The process number of the double follows.
const PREFIX: &str = "kube-double-";

/// The group of one container. Dropping it takes it away, once it is empty.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
    is_second: bool,
}

impl Group {
    /// A group with the memory limit of these `resources`; nothing without a limit, or where it cannot be made.
    pub(super) fn new(name: &str, resources: &Value) -> Option<Self> {
        let limit = Quantity::of(&resources["limits"]["memory"])?;
        let (hierarchy, is_second) = hierarchy();
        let path = hierarchy.join(format!("{PREFIX}{}-{name}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = Self { path, is_second };
        group.set_limit(limit).then_some(group)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the limit, as a resize does.
    pub(super) fn set_limit(&self, limit: Quantity) -> bool {
        let write = |file: &str, value: String| fs::write(self.path.join(file), value).is_ok();
        let bytes = limit.units().to_string();
        if !self.is_second {
            return write("memory.limit_in_bytes", bytes);
        }
        // The kubelet ends the container as a whole there.
        let _ = write("memory.swap.max", "0".to_owned());
        let _ = write("memory.oom.group", "1".to_owned());
        write("memory.max", bytes)
    }

    /// Whether the kernel has killed anything in here for its memory.
    pub(super) fn was_out_of_memory(&self) -> bool {
        let file = if self.is_second { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.is_some_and(|count| count.trim() != "0")
    }
}

fn hierarchy() -> (&'static Path, bool) {
    let is_second = Path::new(SECOND).join("cgroup.controllers").exists();
    (Path::new(if is_second { SECOND } else { FIRST }), is_second)
}

/// Takes away what doubles that were killed have left behind.
pub(super) fn sweep() {
    let Ok(entries) = fs::read_dir(hierarchy().0) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let double = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if double.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // One that is not empty is somebody else's problem.
            drop(fs::remove_dir(entry.path()));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is left behind is empty and small.
        drop(fs::remove_dir(&self.path));
    }
}
