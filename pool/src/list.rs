//! Lists of things that are numbered densely, threaded through a table of links: every operation is O(1), and
//! nothing is allocated once the table has grown.

/// The end of a list.
const NONE: u32 = u32::MAX;

/// The links of everything that can be in one kind of list, by number. A thing is in one list of its kind at
/// most.
#[derive(Debug, Default)]
pub(crate) struct Links(Vec<Link>);

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

/// One list: its first, its last and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List {
    front: u32,
    back: u32,
    len: u32,
}

impl Links {
    /// Makes room for the thing with this number.
    pub(crate) fn grow_to(&mut self, item: u32) {
        if self.0.len() <= item as usize {
            self.0.resize(item as usize + 1, Link { previous: NONE, next: NONE });
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self { front: NONE, back: NONE, len: 0 }
    }
}

impl List {
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) const fn front(&self) -> Option<u32> {
        if self.front == NONE { None } else { Some(self.front) }
    }

    pub(crate) const fn back(&self) -> Option<u32> {
        if self.back == NONE { None } else { Some(self.back) }
    }

    /// What comes after an item, towards the back.
    pub(crate) fn after(links: &Links, item: u32) -> Option<u32> {
        let next = links.0[item as usize].next;
        (next != NONE).then_some(next)
    }

    pub(crate) fn push_back(&mut self, links: &mut Links, item: u32) {
        links.0[item as usize] = Link { previous: self.back, next: NONE };
        match self.back {
            NONE => self.front = item,
            back => links.0[back as usize].next = item,
        }
        self.back = item;
        self.len += 1;
    }

    /// Puts an item in front of another one, which must be in this list.
    pub(crate) fn insert_before(&mut self, links: &mut Links, next: u32, item: u32) {
        let previous = links.0[next as usize].previous;
        links.0[item as usize] = Link { previous, next };
        links.0[next as usize].previous = item;
        match previous {
            NONE => self.front = item,
            previous => links.0[previous as usize].next = item,
        }
        self.len += 1;
    }

    /// Takes an item out from wherever it stands. It must be in this list.
    pub(crate) fn remove(&mut self, links: &mut Links, item: u32) {
        let Link { previous, next } = links.0[item as usize];
        match previous {
            NONE => self.front = next,
            previous => links.0[previous as usize].next = next,
        }
        match next {
            NONE => self.back = previous,
            next => links.0[next as usize].previous = previous,
        }
        self.len -= 1;
    }

    /// Front to back.
    pub(crate) fn iter(self, links: &Links) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.front(), move |&item| Self::after(links, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(items: &[u32]) -> (List, Links) {
        let (mut list, mut links) = (List::default(), Links::default());
        for &item in items {
            links.grow_to(item);
            list.push_back(&mut links, item);
        }
        (list, links)
    }

    #[test]
    fn items_leave_from_either_end_and_from_the_middle() {
        for (taken, left) in [(3, vec![7, 1]), (7, vec![3, 1]), (1, vec![3, 7])] {
            let (mut list, mut links) = filled(&[3, 7, 1]);
            list.remove(&mut links, taken);
            assert_eq!(list.iter(&links).collect::<Vec<_>>(), left);
            assert_eq!((list.front(), list.back()), (left.first().copied(), left.last().copied()));
        }
    }

    #[test]
    fn an_item_goes_in_front_of_another() {
        for (next, expected) in [(3, vec![5, 3, 7, 1]), (1, vec![3, 7, 5, 1])] {
            let (mut list, mut links) = filled(&[3, 7, 1]);
            links.grow_to(5);
            list.insert_before(&mut links, next, 5);
            assert_eq!(list.iter(&links).collect::<Vec<_>>(), expected);
            assert_eq!((list.front(), list.back(), list.len()), (Some(expected[0]), Some(1), 4));
        }
    }

    #[test]
    fn an_emptied_list_equals_a_new_one() {
        let (mut list, mut links) = filled(&[0, 1]);
        list.remove(&mut links, 0);
        list.remove(&mut links, 1);
        assert_eq!((list, list.front(), list.back()), (List::default(), None, None));
    }
}
