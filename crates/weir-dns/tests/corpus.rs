//! The fuzz targets over their corpus, and over what comes of changing it: for where there is no nightly compiler.

#[path = "../../../fuzz/body.rs"]
mod body;
#[path = "../../../fuzz/corpus.rs"]
mod files;

use files::corpus;
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::LazyLock;

static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("message", 10));
static CONVERSATIONS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("conversation", 10));

#[test]
fn the_corpus_breaks_nothing() {
    MESSAGES.iter().for_each(|bytes| body::message(bytes));
    CONVERSATIONS.iter().for_each(|bytes| body::conversation(bytes));
}

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Repeat(Index, Index),
    Insert(Index, Vec<u8>),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<Index>;
        // Pointers, lengths and types that mean something are rare among all bytes.
        let byte = prop_oneof![Just(0xc0), Just(12), Just(0), Just(0xff), Just(63), Just(41), any::<u8>()];
        prop_oneof![
            (at(), byte).prop_map(|(at, byte)| Self::Set(at, byte)),
            (at(), 0u8..8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            at().prop_map(Self::Cut),
            (at(), at()).prop_map(|(from, to)| Self::Repeat(from, to)),
            (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, new)| Self::Insert(at, new)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
            Self::Insert(at, new) => {
                drop(bytes.splice(at.index(length)..at.index(length), new.iter().copied()))
            }
        }
    }
}

fn changed(corpus: &'static [Vec<u8>]) -> impl Strategy<Value = Vec<u8>> {
    let one = prop::sample::select(corpus);
    (one, prop::collection::vec(Change::any(), 0..6)).prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn changed_messages_break_nothing(bytes in changed(&MESSAGES)) {
        body::message(&bytes);
    }

    #[test]
    fn changed_conversations_break_nothing(bytes in changed(&CONVERSATIONS)) {
        body::conversation(&bytes);
    }
}
