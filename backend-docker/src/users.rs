//! Whom containers run as, where the user of hearth does not say.
//!
//! Lambda's limit of processes, `RLIMIT_NPROC`, is kept by the kernel for all processes of a user together, in whichever
//! containers they are. As long as there are few containers, all of them run as the user that functions have on Lambda;
//! more than [`SHARED_BY`] of them spread over further users, so that none takes what the others may have.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// As on Lambda, where it is called `sbx_user1051`, and its group.
const FIRST: u32 = 993;
const GROUP: u32 = 990;
/// Those that follow. Nobody else's on a usual machine, and below 65,536, which is all that there is in a container of
/// an engine without root.
const FURTHER: u32 = 50_993;

/// Containers that run as one user: so many of the largest runtimes together are far below the limit.
const SHARED_BY: usize = 8;

/// The limit of a user's processes by its name, soft and hard, as recorded on AWS.
pub(crate) const PROCESSES: (&str, (i64, i64)) = ("nproc", (742, 742));

/// Who has how many containers.
#[derive(Debug, Default)]
pub(crate) struct Users(Arc<Mutex<Vec<usize>>>);

/// The right to run one container as a user. Dropped, another one has its place.
#[derive(Debug)]
pub(crate) struct User {
    index: usize,
    containers: Arc<Mutex<Vec<usize>>>,
}

impl Users {
    /// The first one who has not too many yet.
    pub(crate) fn take(&self) -> User {
        let mut containers = lock(&self.0);
        let free = containers.iter().position(|count| *count < SHARED_BY);
        let index = free.unwrap_or(containers.len());
        if free.is_none() {
            containers.push(0);
        }
        containers[index] += 1;
        User { index, containers: Arc::clone(&self.0) }
    }
}

impl User {
    /// `uid:gid`
    pub(crate) fn name(&self) -> String {
        let further = u32::try_from(self.index).unwrap_or(u32::MAX);
        let uid = further.checked_sub(1).map_or(FIRST, |further| FURTHER.saturating_add(further));
        format!("{uid}:{GROUP}")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        lock(&self.containers)[self.index] -= 1;
    }
}

fn lock(containers: &Mutex<Vec<usize>>) -> MutexGuard<'_, Vec<usize>> {
    containers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_shared_by_few_containers_and_one_that_ends_makes_place() {
        let users = Users::default();
        let mut taken: Vec<_> = (0..20).map(|_| users.take()).collect();
        let names = |taken: &[User]| taken.iter().map(User::name).collect::<Vec<_>>();
        let expected = [vec!["993:990"; 8], vec!["50993:990"; 8], vec!["50994:990"; 4]].concat();
        assert_eq!(names(&taken), expected);
        taken.drain(3..10);
        let next: Vec<_> = (0..8).map(|_| users.take()).collect();
        assert_eq!(names(&next), [vec!["993:990"; 5], vec!["50993:990"; 2], vec!["50994:990"]].concat());
    }
}
