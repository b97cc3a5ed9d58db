//! Text that others have chosen: it is made harmless where it is read, and goes anywhere from there.

/// Control characters as Rust writes them in a literal, all others as they are.
#[must_use]
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
