//! The words for what the kernel says in numbers.

use super::symbols::Symbols;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_kernel::drop_reasons;

/// Where the kernel gives no reason.
const UNKNOWN: &str = "UNKNOWN";
/// Places in the code whose names are kept; a kernel has some hundreds where it drops.
const LOCATIONS: usize = 4096;

/// Names of reasons and of places in the code.
#[derive(Debug, Default)]
pub struct Names {
    reasons: BTreeMap<u32, Arc<str>>,
    symbols: Symbols,
    locations: BTreeMap<u64, Arc<str>>,
}

impl Names {
    /// What the kernel calls its reasons. Without its type information they stay numbers.
    pub fn read() -> Self {
        let mut names = Self::default();
        names.learn();
        names
    }

    fn learn(&mut self) {
        let reasons = drop_reasons().unwrap_or_default();
        self.reasons.extend(reasons.into_iter().map(|(number, name)| (number, name.into())));
        self.reasons.insert(0, UNKNOWN.into());
    }

    /// That of a reason. One that is new may be of a module that was loaded meanwhile.
    pub fn reason(&mut self, number: u32) -> Arc<str> {
        if !self.reasons.contains_key(&number) {
            self.learn();
        }
        let name = self.reasons.entry(number).or_insert_with(|| format!("{number:#x}").into());
        Arc::clone(name)
    }

    /// That of a place in the code.
    pub fn location(&mut self, address: u64) -> Arc<str> {
        if self.locations.len() >= LOCATIONS {
            self.locations.clear();
        }
        let Self { symbols, locations, .. } = self;
        Arc::clone(locations.entry(address).or_insert_with(|| symbols.name(address).into()))
    }

    /// Whether the kernel keeps to itself where its code lies.
    pub fn are_hidden(&self) -> bool {
        self.symbols.are_hidden()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_words_and_numbers_where_there_are_none() {
        let mut names = Names::read();
        assert_eq!((&*names.reason(0), &*names.reason(0x7fff_0001)), ("UNKNOWN", "0x7fff0001"));
        let first = names.location(1);
        assert_eq!((&*first, names.location(1)), ("0x1", first.clone()));
    }
}
