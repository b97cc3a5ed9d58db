//! Things that are found by keys, and stand in rows: each in the order in which they came to it, so that who has waited
//! longest stands first.

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

/// Rows of things, each of which has a number for as long as it is there. Several can have the same key. All take
/// constant time.
#[derive(Debug)]
pub struct Rows<K, T, const N: usize> {
    /// Four bytes for each: most of what is looked for is far from any cache.
    by_key: HashTable<Number>,
    hasher: DefaultHashBuilder,
    places: Slab<Place<K, T>>,
    rows: [Row; N],
}

/// One thing, and its neighbours.
#[derive(Debug)]
struct Place<K, T> {
    key: K,
    hash: u64,
    thing: T,
    row: usize,
    before: Option<Number>,
    after: Option<Number>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    first: Option<Number>,
    last: Option<Number>,
    len: usize,
}

/// Of one that is there, from 1 on. Numbers of those that are gone are given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(NonZeroU32);

impl Number {
    fn at(key: usize) -> Self {
        let number = u32::try_from(key + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("fewer than 2^32 of them fit into memory"))
    }

    /// Its place in the slab.
    fn key(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl<K: Eq + Hash, T, const N: usize> Rows<K, T, N> {
    pub fn new() -> Self {
        let (by_key, hasher, places) = Default::default();
        Self { by_key, hasher, places, rows: [Row::default(); N] }
    }

    /// How many there are, in all rows.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// How many there are in a row.
    pub fn count(&self, row: usize) -> usize {
        self.rows[row].len
    }

    /// Those with a key.
    pub fn with<'a>(&'a self, key: &K) -> impl Iterator<Item = (Number, &'a T)> + Clone {
        let numbers = self.by_key.iter_hash(self.hasher.hash_one(key)).copied();
        let places = numbers.map(|number| (number, self.place(number)));
        places.filter(move |(_, place)| place.key == *key).map(|(number, place)| (number, &place.thing))
    }

    /// All of them, by where they lie.
    pub fn iter(&self) -> impl Iterator<Item = (Number, &T)> {
        self.places.iter().map(|(key, place)| (Number::at(key), &place.thing))
    }

    /// Who has been in the row for longest.
    pub fn first(&self, row: usize) -> Option<Number> {
        self.rows[row].first
    }

    /// In which row one stands.
    pub fn row(&self, number: Number) -> usize {
        self.place(number).row
    }

    /// One comes to the end of a row.
    ///
    /// # Panics
    /// There are more than four thousand million.
    pub fn push(&mut self, row: usize, key: K, thing: T) -> Number {
        let hash = self.hasher.hash_one(&key);
        let place = Place { key, hash, thing, row, before: None, after: None };
        let number = Number::at(self.places.insert(place));
        self.by_key.insert_unique(hash, number, |number| self.places[number.key()].hash);
        self.join(number, row);
        number
    }

    /// One goes to the end of a row, its own or another one.
    pub fn renew(&mut self, number: Number, row: usize) {
        self.leave(number);
        self.join(number, row);
    }

    /// One goes.
    ///
    /// # Panics
    /// It is not there.
    pub fn remove(&mut self, number: Number) -> T {
        self.leave(number);
        let place = self.places.remove(number.key());
        if let Ok(found) = self.by_key.find_entry(place.hash, |other| *other == number) {
            found.remove();
        }
        place.thing
    }

    fn leave(&mut self, number: Number) {
        let &Place { row, before, after, .. } = self.place(number);
        match before {
            Some(before) => self.place_mut(before).after = after,
            None => self.rows[row].first = after,
        }
        match after {
            Some(after) => self.place_mut(after).before = before,
            None => self.rows[row].last = before,
        }
        self.rows[row].len -= 1;
    }

    fn join(&mut self, number: Number, row: usize) {
        let before = self.rows[row].last.replace(number);
        match before {
            Some(before) => self.place_mut(before).after = Some(number),
            None => self.rows[row].first = Some(number),
        }
        let place = self.place_mut(number);
        (place.row, place.before, place.after) = (row, before, None);
        self.rows[row].len += 1;
    }

    fn place(&self, number: Number) -> &Place<K, T> {
        &self.places[number.key()]
    }

    fn place_mut(&mut self, number: Number) -> &mut Place<K, T> {
        &mut self.places[number.key()]
    }
}

impl<K: Eq + Hash, T, const N: usize> Index<Number> for Rows<K, T, N> {
    type Output = T;

    fn index(&self, number: Number) -> &T {
        &self.place(number).thing
    }
}

impl<K: Eq + Hash, T, const N: usize> IndexMut<Number> for Rows<K, T, N> {
    fn index_mut(&mut self, number: Number) -> &mut T {
        &mut self.place_mut(number).thing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// What there is in a row, from the first to the last, by removing it.
    fn drain<const N: usize>(rows: &mut Rows<u32, u32, N>, row: usize) -> Vec<u32> {
        std::iter::from_fn(|| rows.first(row).map(|number| rows.remove(number))).collect()
    }

    #[test]
    fn each_row_has_its_order() {
        let mut rows = Rows::<u32, u32, 2>::new();
        let [one, two, _, four] =
            [(0, 1), (0, 2), (1, 3), (0, 4)].map(|(row, thing)| rows.push(row, thing % 2, thing));
        rows.renew(one, 0);
        rows.renew(four, 1);
        rows[two] = 20;
        assert_eq!((rows.len(), rows[two], rows.row(four)), (4, 20, 1));
        assert_eq!((drain(&mut rows, 0), drain(&mut rows, 1)), (vec![20, 1], vec![3, 4]));
        assert_eq!((rows.len(), rows.first(0), rows.first(1)), (0, None, None));
    }

    proptest! {
        /// The same as queues that are searched.
        #[test]
        fn as_queues(steps in prop::collection::vec((0..4u8, 0..3usize, any::<prop::sample::Index>()), 0..200)) {
            let mut rows = Rows::<u32, u32, 3>::new();
            let mut queues = [(); 3].map(|()| VecDeque::new());
            let mut there = Vec::new();
            for (count, (step, row, which)) in (0..).zip(steps) {
                if step < 2 || there.is_empty() {
                    there.push((rows.push(row, count % 8, count), count));
                    queues[row].push_back(count);
                    continue;
                }
                let at = which.index(there.len());
                let (number, thing) = there[at];
                queues.iter_mut().for_each(|queue| queue.retain(|other| *other != thing));
                if step == 2 {
                    rows.renew(number, row);
                    queues[row].push_back(thing);
                } else {
                    there.swap_remove(at);
                    prop_assert_eq!(rows.remove(number), thing);
                }
            }
            prop_assert_eq!(rows.len(), there.len());
            prop_assert_eq!((rows.iter().count(), rows.by_key.len()), (there.len(), there.len()));
            for key in 0..8 {
                let mut found: Vec<_> = rows.with(&key).map(|(_, thing)| *thing).collect();
                let mut meant: Vec<_> = there.iter().map(|one| one.1).filter(|thing| thing % 8 == key).collect();
                found.sort_unstable();
                meant.sort_unstable();
                prop_assert_eq!(found, meant);
            }
            for (row, queue) in queues.into_iter().enumerate() {
                prop_assert_eq!(rows.count(row), queue.len());
                prop_assert_eq!(drain(&mut rows, row), Vec::from(queue));
            }
        }
    }
}
