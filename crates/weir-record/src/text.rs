//! Text that others have chosen: it is made harmless where it is read, and goes anywhere from there.

/// What shows as nothing, moves the cursor or turns the line around (control and format characters, combining marks)
/// as Rust writes it in a literal; all others as they are.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '\'' | '"' => printable.push(character),
            _ => printable.extend(character.escape_debug()),
        }
    }
    printable
}

/// The same, as long as it is at most, with a sign that there was more.
#[must_use]
pub fn printable_start(text: &str, most: usize) -> String {
    let mut start = printable(&text[..text.floor_char_boundary(most)]);
    if start.len() > most || text.len() > most {
        start.truncate(start.floor_char_boundary(most));
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_spelled_out() {
        assert_eq!(printable("sh\x1b[2J\r\n\0"), "sh\\u{1b}[2J\\r\\n\\0");
        assert_eq!(printable("gpj.\u{202e}exe\u{200b}"), "gpj.\\u{202e}exe\\u{200b}");
        assert_eq!(printable("a\u{0301}"), "a\\u{301}");
    }

    #[test]
    fn all_else_stays() {
        for text in ["nginx: worker", r#"sh -c 'echo "C:\dir"'"#, "größe", "日本語", "µ²"] {
            assert_eq!(printable(text), text);
        }
    }

    #[test]
    fn text_is_harmless_and_short() {
        assert_eq!(printable_start("Zürich\n", 20), "Zürich\\n");
        assert_eq!(printable_start("Zürich", 2), "Z…");
        assert_eq!(printable_start("\u{1b}[2J", 4), "\\u{1…");
    }
}
