//! Launches: who wants them, when they begin, and how they end.

use crate::capacity::{Domain, Obstacle};
use crate::fleet::Wish;
use crate::instance::{Fate, Instance, Phase};
use crate::start_queue::{Class, Line, Place, Share};
use crate::{Effect, EvictReason, FunctionId, InstanceId, MemoryMib, Pool, Purpose, Refusal, Timestamp};

/// So many of those that memory holds up are looked at each time that some may have come free.
const TRIES: usize = 64;

impl Pool {
    /// Something has changed that a function's wish depends on: it takes the place in the line that it wants.
    pub(super) fn reconsider(&mut self, index: u32) {
        let wish = self.wish(index);
        let launches = wish.map_or(0, |wish| wish.launches);
        let claimed = if wish.is_some_and(|wish| wish.purpose == Purpose::Demand) { launches } else { 0 };
        self.claim(index, claimed);
        self.keep_promises(index, launches);
        self.arm(index);
        let place = self.starts.place(index);
        let wanted = wish.and_then(|wish| self.line(index, wish)).map_or(Place::Out, |line| match place {
            Place::HeldByGroup(share) if share == line.share => place,
            Place::HeldByMemory(_) => Place::HeldByMemory(line.class),
            Place::HeldByGroup(_) | Place::Out | Place::Queued(_) => Place::Queued(line),
        });
        // It may want more, or what was kept for it is for those behind it.
        self.has_memory_eased |= matches!(place, Place::HeldByMemory(_));
        if wanted != place {
            self.starts.put(index, wanted);
        }
    }

    /// Begins as many launches as may begin.
    pub(super) fn start_launches(&mut self) {
        while self.starts.has_room() && !self.starts.is_empty() {
            if std::mem::take(&mut self.has_memory_eased) {
                self.retry_held_by_memory();
            }
            self.let_the_lines_move();
            // One that got no further may have left memory to those who were looked at before.
            if !self.has_memory_eased {
                return;
            }
        }
    }

    pub(super) fn launched(&mut self, id: InstanceId) {
        let Some(index) = self.find(id) else { return };
        let instance = &mut self.instances[index];
        let Phase::Launching(fate) = instance.phase else { return };
        let (function, launched_at) = (instance.function.0, instance.launched_at);
        self.starts.ended(instance.purpose);
        match fate {
            Fate::Joins => {
                instance.phase = Phase::Busy { serving: 0 };
                instance.since = self.now;
                let took = self.now - launched_at;
                self.alter(function, |fleet| {
                    fleet.load.started(took);
                    fleet.backoff = fleet.backoff.recovered();
                    fleet.launching -= 1;
                    fleet.ready += 1;
                });
                self.reconsider(function);
                self.offer(index);
                self.rearm_floor(function);
            }
            Fate::DeadOnArrival => {
                self.terminate(index, EvictReason::Exited);
                self.launch_came_to_nothing(function, id, launched_at);
            }
            Fate::Dropped(reason) => self.terminate(index, reason),
        }
    }

    pub(super) fn launch_failed(&mut self, id: InstanceId) {
        let Some(index) = self.find(id) else { return };
        let instance = &self.instances[index];
        let Phase::Launching(fate) = instance.phase else { return };
        let (function, launched_at) = (instance.function.0, instance.launched_at);
        self.starts.ended(instance.purpose);
        self.detach(index);
        self.forget(index);
        match fate {
            Fate::Joins | Fate::DeadOnArrival => self.launch_came_to_nothing(function, id, launched_at),
            Fate::Dropped(_) => {}
        }
    }

    /// A launch that began at that moment has failed, or might as well have: the next one waits.
    pub(super) fn back_off(&mut self, index: u32, launched_at: Timestamp) {
        let limits = (self.config.backoff_min, self.config.backoff_max);
        let fleet = &mut self.fleets[index];
        fleet.backoff = fleet.backoff.failed(self.now, launched_at, limits, &mut self.random);
    }

    /// Those who can have no other instance are answered with the failure.
    fn launch_came_to_nothing(&mut self, index: u32, id: InstanceId, launched_at: Timestamp) {
        self.back_off(index, launched_at);
        if self.fleets[index].current() == 0 {
            self.turn_all_away(index, Refusal::LaunchFailed(id));
        }
        self.reconsider(index);
    }

    pub(super) fn wish(&self, index: u32) -> Option<Wish> {
        let fleet = &self.fleets[index];
        fleet.wish(self.now, self.config.scale_out, self.head_since(index))
    }

    /// Where a function stands that has a wish.
    fn line(&self, index: u32, wish: Wish) -> Option<Line> {
        let fleet = &self.fleets[index];
        let is_kept = fleet.deficit() > 0 && wish.purpose != Purpose::Prediction;
        Some(Line {
            domain: self.capacity.domain(fleet.group?),
            share: if is_kept { Share::Kept } else { Share::Open },
            class: Class::of(wish.purpose, fleet.current()),
        })
    }

    fn arm(&mut self, index: u32) {
        let head_since = self.head_since(index);
        match self.fleets[index].wishes_at(self.now, self.config.scale_out, head_since) {
            Some(at) => self.timers.functions.set(index, at),
            None => self.timers.functions.clear(index),
        }
    }

    /// When the first of those who wait came.
    fn head_since(&self, index: u32) -> Option<Timestamp> {
        Some(self.waiters.get(self.fleets[index].waiting.front()?).since)
    }

    /// So many launches are wanted for those who wait.
    pub(super) fn claim(&mut self, index: u32, claimed: u32) {
        let Some(deployment) = self.fleets[index].deployment else { return };
        let before = self.fleets[index].claimed;
        if before != claimed {
            let MemoryMib(memory) = deployment.spec.memory;
            self.memory.claim(u64::from(claimed) * memory, u64::from(before) * memory);
            self.alter(index, |fleet| fleet.claimed = claimed);
        }
    }

    /// To the end of the line, if it wants more.
    fn rotate(&mut self, index: u32) {
        self.has_memory_eased |= matches!(self.starts.place(index), Place::HeldByMemory(_));
        self.starts.put(index, Place::Out);
        self.reconsider(index);
    }

    fn hold_up(&mut self, index: u32, class: Class) {
        self.fleets[index].held_up_since = self.now;
        self.starts.put(index, Place::HeldByMemory(class));
    }

    fn retry_held_by_memory(&mut self) {
        let held: Vec<u32> = self.starts.all_held_by_memory().take(TRIES).collect();
        for index in held {
            while self.starts.has_room() && matches!(self.starts.place(index), Place::HeldByMemory(_)) {
                match self.try_launch(index) {
                    Ok(()) => self.reconsider(index),
                    Err(Obstacle::Memory) => break,
                    Err(Obstacle::Account | Obstacle::Group) => self.rotate(index),
                }
            }
        }
        self.has_memory_eased |= !self.starts.has_room();
    }

    fn let_the_lines_move(&mut self) {
        let mut closed = Vec::new();
        while self.starts.has_room() {
            let Some((index, line)) = self.starts.next(|line| !closed.contains(&line)) else { return };
            match self.try_launch(index) {
                Ok(()) => self.rotate(index),
                // Whoever stands behind is held up by the same limit.
                Err(Obstacle::Account) => closed.push(line),
                Err(Obstacle::Group) => self.starts.put(index, Place::HeldByGroup(line.share)),
                Err(Obstacle::Memory) => self.hold_up(index, line.class),
            }
        }
    }

    /// Begins one launch of the function; idle instances make way for it, unless it is only a guess.
    fn try_launch(&mut self, index: u32) -> Result<(), Obstacle> {
        let Some(Wish { purpose, launches }) = self.wish(index) else {
            return Ok(());
        };
        while let Some(obstacle) = self.obstacle(index, purpose) {
            if purpose == Purpose::Prediction {
                self.fleets[index].prewarm_at = None;
                return Ok(());
            }
            if obstacle != Obstacle::Memory {
                // Memory is set aside for nobody who could not use it.
                self.keep_promises(index, 0);
            }
            let has_made_way = match obstacle {
                Obstacle::Group => self.evict_for_group(index),
                Obstacle::Account => self.evict_for_account(index),
                Obstacle::Memory => {
                    let before = self.fleets[index].promised;
                    self.make_memory_free(index, launches);
                    before < self.fleets[index].promised
                }
            };
            if !has_made_way {
                return Err(obstacle);
            }
        }
        self.launch(index, purpose);
        Ok(())
    }

    fn evict_for_group(&mut self, index: u32) -> bool {
        let group = self.fleets[index].group;
        group.is_some_and(|group| self.evict_from_group(group, EvictReason::ConcurrencyPressure))
    }

    fn evict_for_account(&mut self, index: u32) -> bool {
        let domain = self.fleets[index].group.map(|group| self.capacity.domain(group));
        let is_shared_full =
            self.capacity.unreserved_limit() <= self.capacity.use_of_domain(Domain::Unreserved).live;
        match domain {
            Some(Domain::Unreserved) if is_shared_full => {
                self.evict_from_domains(&[Domain::Unreserved], EvictReason::ConcurrencyPressure)
            }
            _ => self.evict_from_domains(&Domain::ALL, EvictReason::ConcurrencyPressure),
        }
    }

    fn launch(&mut self, index: u32, purpose: Purpose) {
        let Some((group, deployment)) = self.fleets[index].group.zip(self.fleets[index].deployment) else {
            return;
        };
        let (deploy, spec) = (deployment.deploy, deployment.spec);
        let function = FunctionId(index);
        let (instance, generation) = self.instances.insert(Instance {
            phase: Phase::Launching(Fate::Joins),
            since: self.now,
            launched_at: self.now,
            armed: Timestamp::NEVER,
            function,
            slots: spec.slots,
            served: 0,
            memory: spec.memory,
            purpose,
            deploy,
        });
        self.ready.grow_to(instance);
        self.members.grow_to(instance);
        self.timers.instances.grow_to(instance);
        self.fleets[index].members.push_back(&mut self.members, instance);
        self.memory.launched(spec.memory);
        self.keep_promises(index, self.fleets[index].promised.saturating_sub(1));
        self.alter(index, |fleet| {
            fleet.launching += 1;
            fleet.live += 1;
            fleet.prewarm_at = None;
        });
        self.starts.began(self.capacity.domain(group), purpose);
        let id = InstanceId { index: instance, generation };
        self.effects.push_back(Effect::Launch { instance: id, function, deploy, purpose });
    }

    /// There is one more instance ready: some may have become more than the floor asks for.
    fn rearm_floor(&mut self, index: u32) {
        if self.fleets[index].floor > 0 {
            self.rearm(index);
        }
    }
}
