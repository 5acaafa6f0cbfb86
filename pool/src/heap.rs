//! A heap of things that are numbered densely, whose keys can be changed and which can be taken out.

/// Not in the heap.
const OUT: u32 = u32::MAX;

/// How many children a place has: wide, since most of what is armed is never looked at.
const ARITY: usize = 4;

/// The least key first, the least number first among equal keys. Setting and clearing are O(log n), looking at
/// the first is O(1).
#[derive(Debug)]
pub(crate) struct Heap<K> {
    entries: Vec<(K, u32)>,
    /// Where in `entries` each item is.
    places: Vec<u32>,
}

impl<K> Default for Heap<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: Vec::new() }
    }
}

impl<K: Copy + Ord> Heap<K> {
    /// Makes room for the item with this number.
    pub(crate) fn grow_to(&mut self, item: u32) {
        if self.places.len() <= item as usize {
            self.places.resize(item as usize + 1, OUT);
            // So that setting never allocates.
            self.entries.reserve(self.places.len() - self.entries.len());
        }
    }

    pub(crate) fn first(&self) -> Option<(K, u32)> {
        self.entries.first().copied()
    }

    pub(crate) fn key(&self, item: u32) -> Option<K> {
        match *self.places.get(item as usize)? {
            OUT => None,
            place => Some(self.entries[place as usize].0),
        }
    }

    /// Puts the item in, or moves it.
    pub(crate) fn set(&mut self, item: u32, key: K) {
        let place = match self.places[item as usize] {
            OUT => {
                self.entries.push((key, item));
                self.entries.len() - 1
            }
            place => {
                self.entries[place as usize].0 = key;
                place as usize
            }
        };
        self.settle(place);
    }

    /// Takes the item out, if it is in.
    pub(crate) fn clear(&mut self, item: u32) {
        let Some(place) = self.places.get(item as usize).copied().filter(|&place| place != OUT) else {
            return;
        };
        self.places[item as usize] = OUT;
        self.entries.swap_remove(place as usize);
        if (place as usize) < self.entries.len() {
            self.settle(place as usize);
        }
    }

    /// Moves the entry up or down to where it belongs.
    fn settle(&mut self, place: usize) {
        let place = self.sift_up(place);
        self.sift_down(place);
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.entries[parent] <= self.entries[place] {
                break;
            }
            self.swap(parent, place);
            place = parent;
        }
        self.note(place);
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let children = (place * ARITY + 1)..(place * ARITY + 1 + ARITY).min(self.entries.len());
            let Some(least) = children.min_by_key(|&child| self.entries[child]) else { break };
            if self.entries[place] <= self.entries[least] {
                break;
            }
            self.swap(place, least);
            place = least;
        }
        self.note(place);
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.entries.swap(a, b);
        self.note(a);
        self.note(b);
    }

    fn note(&mut self, place: usize) {
        let item = self.entries[place].1;
        self.places[item as usize] = u32::try_from(place).expect("fewer than four billion entries");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_always_the_least(
            steps in prop::collection::vec((0u32..40, prop::option::of(0u32..100)), 1..200),
        ) {
            let (mut heap, mut model) = (Heap::default(), BTreeMap::new());
            heap.grow_to(40);
            for (item, key) in steps {
                if let Some(key) = key {
                    heap.set(item, key);
                    model.insert(item, key);
                } else {
                    heap.clear(item);
                    model.remove(&item);
                }
                prop_assert_eq!(heap.first(), model.iter().map(|(&item, &key)| (key, item)).min());
                prop_assert_eq!(heap.key(item), model.get(&item).copied());
            }
        }
    }
}
