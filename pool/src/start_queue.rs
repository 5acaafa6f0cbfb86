//! The start gate: so many launches at once, and who is next.
//!
//! Functions stand here, not launches: a burst of five hundred is one place in the line. Those with nothing
//! live go first, then everyone in turn, one launch each; what nobody waits for yet comes last and never takes
//! up more than half of the gate. A function that is held up by a limit of its own, or by memory, stands aside.

use crate::Purpose;
use crate::capacity::Domain;
use crate::list::{Links, List};

/// Who wants to launch, in which order, and how many launches are under way.
#[derive(Debug)]
pub(crate) struct StartQueue {
    at_once: u32,
    under_way: u32,
    refills_under_way: u32,
    /// Where each function stands.
    places: Vec<Place>,
    links: Links,
    lines: [List; Line::COUNT],
    held_by_memory: [List; 3],
    held_by_group: u32,
    /// Whose turn it is among those of one class.
    turn: Domain,
}

/// Where a function stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// It wants nothing.
    #[default]
    Out,
    /// In a line.
    Queued(Line),
    /// Aside, until an instance of its group goes idle or leaves.
    HeldByGroup(Share),
    /// Aside, until memory comes free.
    HeldByMemory(Class),
}

/// A line: those of one class that the same limit holds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) domain: Domain,
    pub(crate) share: Share,
    pub(crate) class: Class,
}

/// Which part of a limit a launch takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// What is kept free for the function's provisioned concurrency.
    Kept,
    /// What is left to everyone.
    Open,
}

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Somebody waits, and there is nothing live.
    First,
    /// Somebody waits.
    More,
    /// Nobody waits yet.
    Refill,
}

impl Line {
    const COUNT: usize = Domain::ALL.len() * Share::ALL.len() * Class::ALL.len();

    const fn number(self) -> usize {
        (self.domain as usize * Share::ALL.len() + self.share as usize) * Class::ALL.len()
            + self.class as usize
    }
}

impl Share {
    const ALL: [Self; 2] = [Self::Kept, Self::Open];
}

impl Class {
    const ALL: [Self; 3] = [Self::First, Self::More, Self::Refill];

    pub(crate) fn of(purpose: Purpose, current: u32) -> Self {
        match purpose {
            Purpose::Demand if current == 0 => Self::First,
            Purpose::Demand => Self::More,
            Purpose::Provisioned | Purpose::Prediction => Self::Refill,
        }
    }
}

impl StartQueue {
    pub(crate) fn new(at_once: u32) -> Self {
        Self {
            at_once,
            under_way: 0,
            refills_under_way: 0,
            places: Vec::new(),
            links: Links::default(),
            lines: [List::default(); Line::COUNT],
            held_by_memory: [List::default(); 3],
            held_by_group: 0,
            turn: Domain::Unreserved,
        }
    }

    /// Makes room for the function with this number.
    pub(crate) fn grow_to(&mut self, fleet: u32) {
        self.links.grow_to(fleet);
        if self.places.len() <= fleet as usize {
            self.places.resize(fleet as usize + 1, Place::Out);
        }
    }

    /// Whether nobody stands in a line that could move.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.iter().chain(&self.held_by_memory).all(List::is_empty)
    }

    pub(crate) fn has_held_by_group(&self) -> bool {
        self.held_by_group > 0
    }

    pub(crate) fn has_held_by_memory(&self) -> bool {
        !self.held_by_memory.iter().all(List::is_empty)
    }

    pub(crate) fn place(&self, fleet: u32) -> Place {
        self.places[fleet as usize]
    }

    /// Moves a function to the end of a line, or aside, or out.
    pub(crate) fn put(&mut self, fleet: u32, place: Place) {
        self.leave(fleet);
        if let Some((line, links)) = self.line_mut(place) {
            line.push_back(links, fleet);
        }
        self.held_by_group += u32::from(matches!(place, Place::HeldByGroup(_)));
        self.places[fleet as usize] = place;
    }

    /// Who is next, of the lines that are open, and in which line.
    pub(crate) fn next(&self, is_open: impl Fn(Line) -> bool) -> Option<(u32, Line)> {
        let classes = if self.has_room_for_a_refill() { 3 } else { 2 };
        let domains = match self.turn {
            Domain::Reserved => [Domain::Reserved, Domain::Unreserved],
            Domain::Unreserved => [Domain::Unreserved, Domain::Reserved],
        };
        Class::ALL[..classes]
            .iter()
            .flat_map(|&class| domains.map(|domain| (domain, class)))
            .flat_map(|(domain, class)| Share::ALL.map(|share| Line { domain, share, class }))
            .filter(|&line| is_open(line))
            .find_map(|line| Some((self.line(line).front()?, line)))
    }

    /// The functions of a domain that have waited longest with nothing live.
    pub(crate) fn first_without_any(&self, domain: Domain) -> impl Iterator<Item = u32> {
        Share::ALL
            .into_iter()
            .filter_map(move |share| self.line(Line { domain, share, class: Class::First }).front())
    }

    /// Those of a class that memory holds up, the one that is held up longest first.
    pub(crate) fn held_by_memory(&self, class: Class) -> impl Iterator<Item = u32> + '_ {
        self.held_by_memory[class as usize].iter(&self.links)
    }

    /// Everyone whom memory holds up, class by class.
    pub(crate) fn all_held_by_memory(&self) -> impl Iterator<Item = u32> + '_ {
        Class::ALL.into_iter().flat_map(|class| self.held_by_memory(class))
    }

    pub(crate) const fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Whether another launch may begin.
    pub(crate) fn has_room(&self) -> bool {
        self.under_way < self.at_once
    }

    /// A launch begins.
    pub(crate) fn began(&mut self, domain: Domain, purpose: Purpose) {
        self.under_way += 1;
        self.refills_under_way += u32::from(purpose != Purpose::Demand);
        self.turn = match domain {
            Domain::Reserved => Domain::Unreserved,
            Domain::Unreserved => Domain::Reserved,
        };
    }

    /// A launch has ended, well or badly.
    pub(crate) fn ended(&mut self, purpose: Purpose) {
        self.under_way -= 1;
        self.refills_under_way -= u32::from(purpose != Purpose::Demand);
    }

    pub(crate) fn has_room_for_a_refill(&self) -> bool {
        self.refills_under_way < (self.at_once / 2).max(1)
    }

    fn line(&self, line: Line) -> List {
        self.lines[line.number()]
    }

    fn leave(&mut self, fleet: u32) {
        let place = self.place(fleet);
        if let Some((line, links)) = self.line_mut(place) {
            line.remove(links, fleet);
        }
        self.held_by_group -= u32::from(matches!(place, Place::HeldByGroup(_)));
    }

    fn line_mut(&mut self, place: Place) -> Option<(&mut List, &mut Links)> {
        match place {
            Place::Out | Place::HeldByGroup(_) => None,
            Place::Queued(line) => Some((&mut self.lines[line.number()], &mut self.links)),
            Place::HeldByMemory(class) => Some((&mut self.held_by_memory[class as usize], &mut self.links)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: fn(Line) -> bool = |_| true;

    fn queue(at_once: u32, places: &[Place]) -> StartQueue {
        let mut queue = StartQueue::new(at_once);
        for (fleet, &place) in (0..).zip(places) {
            queue.grow_to(fleet);
            queue.put(fleet, place);
        }
        queue
    }

    fn next(queue: &StartQueue) -> Option<u32> {
        queue.next(ANY).map(|(fleet, _)| fleet)
    }

    const fn unreserved(class: Class) -> Place {
        Place::Queued(Line { domain: Domain::Unreserved, share: Share::Open, class })
    }

    #[test]
    fn those_with_nothing_live_go_before_those_that_want_more_and_provisioned_ones_come_last() {
        let mut queue =
            queue(10, &[unreserved(Class::Refill), unreserved(Class::More), unreserved(Class::First)]);
        for expected in [Some(2), Some(1), Some(0), None] {
            assert_eq!(next(&queue), expected);
            if let Some(fleet) = expected {
                queue.put(fleet, Place::Out);
            }
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn functions_with_and_without_reserved_concurrency_take_turns() {
        let reserved =
            Place::Queued(Line { domain: Domain::Reserved, share: Share::Open, class: Class::More });
        let mut queue = queue(10, &[reserved, unreserved(Class::More)]);
        assert_eq!(next(&queue), Some(1));
        queue.began(Domain::Unreserved, Purpose::Demand);
        assert_eq!(next(&queue), Some(0));
        assert_eq!(queue.next(|line| line.domain == Domain::Unreserved).map(|(fleet, _)| fleet), Some(1));
    }

    #[test]
    fn refills_take_half_of_the_gate_and_at_least_one_place() {
        for (at_once, refills) in [(1, 1), (2, 1), (10, 5)] {
            let mut queue = queue(at_once, &[unreserved(Class::Refill)]);
            for _ in 0..refills {
                assert_eq!(next(&queue), Some(0));
                queue.began(Domain::Unreserved, Purpose::Provisioned);
            }
            assert_eq!(next(&queue), None);
            queue.ended(Purpose::Provisioned);
            assert_eq!(next(&queue), Some(0));
        }
    }

    #[test]
    fn who_stands_aside_is_not_next() {
        let queue = queue(1, &[Place::HeldByGroup(Share::Open), Place::HeldByMemory(Class::First)]);
        assert_eq!(next(&queue), None);
        assert!(queue.has_held_by_group() && queue.has_held_by_memory());
        assert_eq!(queue.all_held_by_memory().collect::<Vec<_>>(), [1]);
    }
}
