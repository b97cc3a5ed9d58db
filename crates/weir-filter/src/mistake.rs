//! What is wrong with a text, where, and what was meant.

/// Why a text is no filter, or no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct Mistake {
    /// Where in the text, in characters, from 1; one behind the last where something is missing.
    pub column: usize,
    /// What is wrong there, and what to write instead.
    pub message: String,
}

impl Mistake {
    pub(crate) fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into() }
    }
}

/// `: did you mean 'NAME'?` for the known name that is nearest to a word, where one is near;
/// of two as near, the one that begins alike.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let length = word.chars().count();
    let near = length / 3 + 1;
    let lower = word.to_ascii_lowercase();
    let first = lower.chars().next().map_or(0, char::len_utf8);
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(length) <= near)
        .map(|name| (strsim::damerau_levenshtein(&lower, name), !name.starts_with(&lower[..first]), name))
        .filter(|(distance, ..)| *distance <= near)
        .min()
        .map(|(.., name)| format!(": did you mean '{name}'?"))
}

/// A word of the user's as it is repeated to them: on one line, and not too long.
pub(crate) fn quoted(word: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = word.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if word.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    format!("'{short}'")
}
