//! Names as the server gives them: made harmless, and each kept once.

use hashbrown::HashSet;
use std::sync::Arc;
use weir_record::printable;

/// No name in Kubernetes has more than 253 bytes.
const LONGEST: usize = 256;
/// Words that a follower remembers before it looks for those that nobody uses any more.
const FEW: usize = 1024;

/// Printable, and no longer than a name can be.
pub fn bounded(text: &str) -> String {
    let start = &text[..text.floor_char_boundary(LONGEST)];
    let mut safe = printable(start);
    if start.len() < text.len() || safe.len() > LONGEST {
        safe.truncate(safe.floor_char_boundary(LONGEST));
        safe.push('…');
    }
    safe
}

/// Names that many objects share: namespaces, nodes, owners.
#[derive(Debug, Default)]
pub struct Words {
    known: HashSet<Arc<str>>,
    swept: usize,
}

impl Words {
    /// The one copy of this name; none of an empty one.
    pub fn of(&mut self, text: &str) -> Option<Arc<str>> {
        if text.is_empty() {
            return None;
        }
        let safe = bounded(text);
        if let Some(known) = self.known.get(safe.as_str()) {
            return Some(Arc::clone(known));
        }
        if self.known.len() >= FEW.max(2 * self.swept) {
            self.known.retain(|word| Arc::strong_count(word) > 1);
            self.swept = self.known.len();
        }
        let word = Arc::from(safe);
        self.known.insert(Arc::clone(&word));
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_kept_once_and_only_while_it_is_used() {
        let mut words = Words::default();
        let first = words.of("default").expect("a word");
        assert!(Arc::ptr_eq(&first, &words.of("default").expect("a word")));
        assert_eq!(words.of(""), None);
        for number in 0..10 * FEW {
            words.of(&number.to_string());
        }
        assert!(words.known.len() <= FEW, "{}", words.known.len());
        assert!(Arc::ptr_eq(&first, &words.of("default").expect("a word")));
    }

    #[test]
    fn hostile_ones_are_harmless() {
        assert_eq!(bounded("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        let long = bounded(&"\u{1b}ä".repeat(4096));
        assert!(long.len() <= LONGEST + '…'.len_utf8() && long.ends_with('…'), "{long}");
    }
}
