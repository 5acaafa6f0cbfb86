//! The memory account: what every instance is counted with, from before its launch until it is confirmed gone.

use crate::MemoryMib;

/// Memory of all instances together, in MiB.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: u64,
    /// Of all instances that are not confirmed gone.
    used: u64,
    /// Of those, what is about to be free: instances whose end was asked for.
    leaving: u64,
    /// Of those, what can be made free: idle instances.
    idle: u64,
    /// Wanted for those who wait.
    claimed: u64,
    /// Of that, what is set aside for launches that evicted others and wait for them to be gone.
    promised: u64,
}

impl Memory {
    pub(crate) fn new(budget: Option<MemoryMib>) -> Self {
        let budget = budget.map_or(u64::MAX, |MemoryMib(mib)| mib);
        Self { budget, used: 0, leaving: 0, idle: 0, claimed: 0, promised: 0 }
    }

    pub(crate) const fn used(&self) -> MemoryMib {
        MemoryMib(self.used)
    }

    /// Whether the account says the same as a recount: of all instances, of those that leave, of those that are
    /// idle, of what is claimed, and of what is promised.
    pub(crate) fn agrees_with(&self, recount: [u64; 5]) -> bool {
        [self.used, self.leaving, self.idle, self.claimed, self.promised] == recount
    }

    /// Whether so many MiB could ever be used at once.
    pub(crate) const fn can_ever_hold(&self, need: u64) -> bool {
        need <= self.budget
    }

    /// Whether an instance can be launched for which memory was set aside.
    pub(crate) const fn has_free(&self, MemoryMib(need): MemoryMib) -> bool {
        need <= self.free()
    }

    /// Whether an instance can be launched without taking what was set aside for others.
    pub(crate) const fn has_free_for_anyone(&self, MemoryMib(need): MemoryMib) -> bool {
        need <= self.free() && need <= self.uncommitted()
    }

    /// Whether an instance can be launched once everything that leaves has left.
    pub(crate) const fn will_have(&self, MemoryMib(need): MemoryMib) -> bool {
        need <= self.uncommitted()
    }

    /// Whether an instance can be launched if idle ones make way, all but `protected` MiB of them.
    pub(crate) const fn could_have(&self, MemoryMib(need): MemoryMib, protected: u64) -> bool {
        need <= self.uncommitted().saturating_add(self.idle.saturating_sub(protected))
    }

    /// Whether so much is left of what is free, will be, and can be made free, when everyone who waits has got
    /// what is claimed for them. `own` is the part of the claims that is not counted.
    pub(crate) const fn could_have_beside_claims(&self, need: u64, own: u64, protected: u64) -> bool {
        let evictable = self.idle.saturating_sub(protected);
        let all = self.free().saturating_add(self.leaving).saturating_add(evictable);
        need <= all.saturating_sub(self.claimed - own)
    }

    /// So much more is wanted for those who wait, and so much less.
    pub(crate) const fn claim(&mut self, more: u64, less: u64) {
        self.claimed = self.claimed + more - less;
    }

    pub(crate) const fn launched(&mut self, MemoryMib(mib): MemoryMib) {
        self.used += mib;
    }

    pub(crate) const fn gone(&mut self, MemoryMib(mib): MemoryMib) {
        self.used -= mib;
    }

    pub(crate) const fn began_to_leave(&mut self, MemoryMib(mib): MemoryMib) {
        self.leaving += mib;
    }

    pub(crate) const fn ceased_leaving(&mut self, MemoryMib(mib): MemoryMib) {
        self.leaving -= mib;
    }

    #[inline]
    pub(crate) const fn went_idle(&mut self, MemoryMib(mib): MemoryMib) {
        self.idle += mib;
    }

    #[inline]
    pub(crate) const fn ceased_idle(&mut self, MemoryMib(mib): MemoryMib) {
        self.idle -= mib;
    }

    pub(crate) const fn promise(&mut self, MemoryMib(mib): MemoryMib) {
        self.promised += mib;
    }

    pub(crate) const fn keep_promise(&mut self, MemoryMib(mib): MemoryMib) {
        self.promised -= mib;
    }

    const fn free(&self) -> u64 {
        self.budget - self.used
    }

    /// What will be free and is set aside for nobody.
    const fn uncommitted(&self) -> u64 {
        self.free().saturating_add(self.leaving).saturating_sub(self.promised)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: MemoryMib = MemoryMib(1024);

    #[test]
    fn memory_counts_until_it_is_confirmed_gone() {
        let mut memory = Memory::new(Some(GIB));
        memory.launched(GIB);
        memory.began_to_leave(GIB);
        assert!(!memory.has_free(GIB));
        assert!(memory.will_have(GIB));
        memory.ceased_leaving(GIB);
        memory.gone(GIB);
        assert!(memory.has_free(GIB));
        assert_eq!(memory.used(), MemoryMib(0));
    }

    #[test]
    fn what_was_set_aside_is_for_nobody_else() {
        let mut memory = Memory::new(Some(GIB));
        memory.promise(GIB);
        assert!(memory.has_free(GIB));
        assert!(!memory.has_free_for_anyone(MemoryMib(1)));
        assert!(!memory.will_have(MemoryMib(1)));
    }

    #[test]
    fn idle_instances_can_make_way_except_for_protected_ones() {
        let mut memory = Memory::new(Some(GIB));
        memory.launched(MemoryMib(1000));
        memory.went_idle(MemoryMib(600));
        assert!(memory.could_have(MemoryMib(624), 0));
        assert!(!memory.could_have(MemoryMib(625), 0));
        assert!(!memory.could_have(MemoryMib(125), 500));
    }

    #[test]
    fn what_others_wait_for_is_left_to_them() {
        let mut memory = Memory::new(Some(GIB));
        memory.claim(1000, 0);
        assert!(memory.could_have_beside_claims(24, 0, 0));
        assert!(!memory.could_have_beside_claims(25, 0, 0));
        assert!(memory.could_have_beside_claims(124, 100, 0));
    }
}
