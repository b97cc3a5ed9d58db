//! Numbers of conversations.

use std::hash::{BuildHasher, RandomState};

/// Gives each conversation the next number. Where an agent begins is drawn: the numbers of two agents, or of one before
/// and after a restart, are the same as seldom as hashes are, and those of one agent never.
///
/// In a row they are not for their own sake: of numbers that lie close together the history keeps the last digits.
#[derive(Debug)]
pub struct Ids(u64);

impl Ids {
    /// From anywhere on, but so that it does not come to the end and 0 stays free.
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(()) >> 1)
    }

    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}
