//! The committed reference page is that of the field table. `WEIR_BLESS=1` writes it anew.

use std::collections::HashSet;
use std::fs;
use weir_record::{FIELDS, fields_page};

#[test]
fn the_reference_page_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fields.md");
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(path, fields_page()).expect("docs/fields.md can be written");
    }
    let committed = fs::read_to_string(path).expect("docs/fields.md is there");
    assert!(committed == fields_page(), "docs/fields.md does not match the table: run `make generate`");
}

#[test]
fn names_are_unique_and_in_snake_case() {
    let names: HashSet<_> = FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(names.len(), FIELDS.len());
    assert!(FIELDS.iter().all(|field| field.name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
}
