//! Whose idle instances are worth least, over all functions.
//!
//! One entry a function: the worth of its longest idle instance, which only ever grows. So that serving an
//! invocation costs no work here, an entry is put right only when somebody looks for a victim.

use crate::capacity::Domain;
use crate::fleet::Fleet;
use crate::heap::Heap;
use crate::keep_alive::Worth;

/// Functions that have, or had, idle instances.
#[derive(Debug, Default)]
pub(crate) struct Victims {
    heaps: [Heap<Worth>; 2],
}

impl Victims {
    /// Makes room for the function with this number.
    pub(crate) fn grow_to(&mut self, fleet: u32) {
        self.heaps.iter_mut().for_each(|heap| heap.grow_to(fleet));
    }

    /// The function's longest idle instance is worth so much.
    #[inline]
    pub(crate) fn list(&mut self, domain: Domain, index: u32, fleet: &mut Fleet, worth: Worth) {
        if fleet.listed_worth.is_none_or(|listed| worth < listed) {
            self.relist(domain, index, fleet, worth);
        }
    }

    /// The same, whatever was known before.
    pub(crate) fn relist(&mut self, domain: Domain, index: u32, fleet: &mut Fleet, worth: Worth) {
        self.heaps[domain as usize].set(index, worth);
        fleet.listed_worth = Some(worth);
    }

    /// The function has no idle instance that could go.
    pub(crate) fn unlist(&mut self, index: u32, fleet: &mut Fleet) {
        self.heaps.iter_mut().for_each(|heap| heap.clear(index));
        fleet.listed_worth = None;
    }

    /// The function that is listed with the least worth.
    pub(crate) fn first(&self, domain: Domain) -> Option<(Worth, u32)> {
        self.heaps[domain as usize].first()
    }
}
