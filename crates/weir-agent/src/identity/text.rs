//! Text that others have chosen: it is made harmless where it is read, and goes anywhere from there.

/// Control characters as Rust writes them in a literal, all others as they are.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            printable.extend(character.escape_debug());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// The same, as long as it is at most, with a sign that there was more.
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
    use super::printable_start;

    #[test]
    fn text_is_harmless_and_short() {
        assert_eq!(printable_start("Zürich\n", 20), "Zürich\\n");
        assert_eq!(printable_start("Zürich", 2), "Z…");
        assert_eq!(printable_start("\u{1b}[2J", 4), "\\u{1…");
    }
}
