//! Requests that wait: first come, first served, each with a deadline.

use std::collections::HashMap;

use crate::list::{Links, List};
use crate::slab::Slab;
use crate::{FunctionId, RequestId, Timestamp};

/// Everyone who waits, for any function. Each function has a list of its own.
#[derive(Debug, Default)]
pub(crate) struct WaitQueue {
    waiters: Slab<Waiter>,
    links: Links,
    by_request: HashMap<RequestId, u32>,
}

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) request: RequestId,
    pub(crate) function: FunctionId,
    /// When it came.
    pub(crate) since: Timestamp,
}

impl WaitQueue {
    pub(crate) fn is_waiting(&self, request: RequestId) -> bool {
        self.by_request.contains_key(&request)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) fn get(&self, waiter: u32) -> &Waiter {
        &self.waiters[waiter]
    }

    pub(crate) fn find(&self, request: RequestId) -> Option<u32> {
        self.by_request.get(&request).copied()
    }

    /// Puts a request at the end of its function's line.
    pub(crate) fn push(&mut self, line: &mut List, waiter: Waiter) -> u32 {
        let (index, _) = self.waiters.insert(waiter);
        self.links.grow_to(index);
        line.push_back(&mut self.links, index);
        self.by_request.insert(waiter.request, index);
        index
    }

    /// Takes a request out of its function's line, from wherever it stands.
    pub(crate) fn remove(&mut self, line: &mut List, index: u32) -> Waiter {
        line.remove(&mut self.links, index);
        let waiter = self.waiters.remove(index);
        self.by_request.remove(&waiter.request);
        waiter
    }

    /// First come first.
    pub(crate) fn line(&self, line: List) -> impl Iterator<Item = u32> + '_ {
        line.iter(&self.links)
    }
}
