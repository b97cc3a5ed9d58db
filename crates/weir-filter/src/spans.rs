//! Sets of numbers as ranges.

use std::fmt::Debug;

/// A whole number whose neighbours are known.
pub trait Whole: Copy + Ord + Debug {
    /// The smallest.
    const MIN: Self;
    /// The largest.
    const MAX: Self;
    /// The one before, where there is one.
    fn before(self) -> Option<Self>;
    /// The one after, where there is one.
    fn after(self) -> Option<Self>;
}

macro_rules! whole {
    ($($number:ty),*) => {$(
        impl Whole for $number {
            const MIN: Self = Self::MIN;
            const MAX: Self = Self::MAX;
            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }
            fn after(self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    )*};
}
whole!(u32, u64, u128);

/// A set of numbers: sorted inclusive ranges that neither overlap nor touch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spans<T>(Vec<(T, T)>);

impl<T> Default for Spans<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Whole> FromIterator<(T, T)> for Spans<T> {
    /// Of ranges in any order, which may overlap; one that ends before it begins is empty.
    fn from_iter<I: IntoIterator<Item = (T, T)>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        ranges.sort_unstable();
        let mut joined: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(open) if open.1.after().is_none_or(|next| first <= next) => open.1 = open.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }
}

impl<T: Whole> Spans<T> {
    /// No number.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Every number.
    pub fn full() -> Self {
        Self::range(T::MIN, T::MAX)
    }

    /// The numbers from `first` to `last`, both included.
    pub fn range(first: T, last: T) -> Self {
        [(first, last)].into_iter().collect()
    }

    /// One number.
    pub fn one(number: T) -> Self {
        Self::range(number, number)
    }

    /// The ranges, ascending, both ends included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (T, T)> + ExactSizeIterator + '_ {
        self.0.iter().copied()
    }

    /// Whether no number is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every number is in it.
    pub fn is_full(&self) -> bool {
        self.0 == [(T::MIN, T::MAX)]
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && number <= self.0[after - 1].1
    }

    /// What is in either.
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// What is in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.as_slice(), other.0.as_slice());
        let mut both = Vec::new();
        while let ([one, ..], [two, ..]) = (left, right) {
            let (first, last) = (one.0.max(two.0), one.1.min(two.1));
            if first <= last {
                both.push((first, last));
            }
            if one.1 < two.1 { left = &left[1..] } else { right = &right[1..] }
        }
        Self(both)
    }

    /// What is not in it.
    pub fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut from = Some(T::MIN);
        for (first, last) in self.iter() {
            if let (Some(start), Some(end)) = (from, first.before())
                && start <= end
            {
                gaps.push((start, end));
            }
            from = last.after();
        }
        gaps.extend(from.map(|start| (start, T::MAX)));
        Self(gaps)
    }

    /// Whether all that is in it is in `other`, too.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|(first, last)| {
            let after = other.0.partition_point(|(start, _)| *start <= first);
            after > 0 && last <= other.0[after - 1].1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Spans;
    use proptest::prelude::*;

    /// Ranges at both ends of the type and in between, as short as the numbers are few.
    fn spans() -> impl Strategy<Value = Spans<u32>> {
        let number = prop_oneof![0..40u32, (0..4u32).prop_map(|below| u32::MAX - below)];
        prop::collection::vec((number.clone(), number), 0..6).prop_map(Spans::from_iter)
    }

    proptest! {
        #[test]
        fn sets_behave_as_sets(a in spans(), b in spans()) {
            for number in (0..42).chain(u32::MAX - 5..=u32::MAX) {
                let (in_a, in_b) = (a.contains(number), b.contains(number));
                prop_assert_eq!(in_a, a.iter().any(|(first, last)| (first..=last).contains(&number)));
                prop_assert_eq!(a.union(&b).contains(number), in_a || in_b);
                prop_assert_eq!(a.intersection(&b).contains(number), in_a && in_b);
                prop_assert_eq!(a.complement().contains(number), !in_a);
            }
            prop_assert_eq!(a.complement().complement(), a.clone());
            prop_assert_eq!(a.is_subset(&b), a.intersection(&b) == a);
            prop_assert!(a.union(&a.complement()).is_full());
            prop_assert!(a.intersection(&a.complement()).is_empty());
        }

        #[test]
        fn ranges_are_sorted_and_do_not_touch(a in spans()) {
            let ranges: Vec<_> = a.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| u64::from(pair[0].1) + 1 < u64::from(pair[1].0)));
        }
    }
}
