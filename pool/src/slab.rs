//! A table whose rows are used again, each with a count of how often.

use std::ops::{Index, IndexMut};

/// Rows by number. A freed row is the next to be used again, so that the table stays as small as it can.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    rows: Vec<Option<T>>,
    /// How often each row was used before. Apart from the rows, which are as long as the lines of a cache.
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), generations: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Fills a row; answers its number and how often it was used before.
    pub(crate) fn insert(&mut self, content: T) -> (u32, u32) {
        if let Some(index) = self.free.pop() {
            self.rows[index as usize] = Some(content);
            return (index, self.generations[index as usize]);
        }
        let index = u32::try_from(self.rows.len()).expect("fewer than four billion rows");
        self.rows.push(Some(content));
        self.generations.push(0);
        // So that giving rows back never allocates.
        self.free.reserve(self.rows.len() - self.free.len());
        (index, 0)
    }

    /// Empties a row. It must be filled.
    pub(crate) fn remove(&mut self, index: u32) -> T {
        let generation = &mut self.generations[index as usize];
        *generation = generation.wrapping_add(1);
        self.free.push(index);
        self.rows[index as usize].take().expect("the row is filled")
    }

    /// Whether the row is in use, and was used so often before.
    pub(crate) fn contains(&self, index: u32, generation: u32) -> bool {
        self.generations.get(index as usize) == Some(&generation) && self.rows[index as usize].is_some()
    }

    /// How often the row was used before.
    pub(crate) fn generation(&self, index: u32) -> u32 {
        self.generations[index as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows in use, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.rows).filter_map(|(index, row)| Some((index, row.as_ref()?)))
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        self.rows[index as usize].as_ref().expect("the row is filled")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.rows[index as usize].as_mut().expect("the row is filled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_used_again_is_not_mistaken_for_what_it_held_before() {
        let mut slab = Slab::default();
        assert_eq!((slab.insert('a'), slab.insert('b')), ((0, 0), (1, 0)));
        assert_eq!(slab.remove(0), 'a');
        assert_eq!(slab.insert('c'), (0, 1));
        assert_eq!([slab.contains(0, 0), slab.contains(0, 1), slab.contains(7, 0)], [false, true, false]);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(0, &'c'), (1, &'b')]);
        assert_eq!((slab.len(), slab.is_empty(), slab.generation(0)), (2, false, 1));
    }
}
