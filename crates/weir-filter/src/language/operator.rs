//! What may stand between a field and a value.

use std::fmt;

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    In,
    Has,
}

impl Operator {
    /// Those that ask whether a value is one of some.
    pub(super) const MEMBERSHIP: &[Self] = &[Self::Equal, Self::NotEqual, Self::In];
    /// Those, and the ones that ask for an order.
    pub(super) const ORDER: &[Self] = &[
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::More,
        Self::MoreOrEqual,
        Self::In,
    ];
    /// Those for sets of bits.
    pub(super) const BITS: &[Self] = &[Self::Has, Self::In, Self::Equal, Self::NotEqual];
    /// Those for yes and no.
    pub(super) const FLAG: &[Self] = &[Self::Equal, Self::NotEqual];

    /// The operator that is a word.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::In, Self::Has].into_iter().find(|one| word.eq_ignore_ascii_case(one.as_str()))
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::More => ">",
            Self::MoreOrEqual => ">=",
            Self::In => "in",
            Self::Has => "has",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
