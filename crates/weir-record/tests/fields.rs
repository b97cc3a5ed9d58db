//! The committed reference page is that of the field table. `WEIR_BLESS=1` writes it anew.

use std::collections::HashSet;
use std::fs;
use weir_record::{EventKind, FIELDS, events_page, fields_page};

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

/// Two fields under one number could not be told apart in files that are there already.
#[test]
fn elements_are_unique() {
    let elements: Vec<_> = FIELDS.iter().filter_map(|field| field.ipfix).collect();
    let numbers: HashSet<_> = elements.iter().map(|element| (element.enterprise, element.id)).collect();
    assert_eq!(numbers.len(), elements.len());
}

#[test]
fn the_page_of_events_is_that_of_their_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.md");
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(path, events_page()).expect("docs/events.md can be written");
    }
    let committed = fs::read_to_string(path).expect("docs/events.md is there");
    assert!(committed == events_page(), "docs/events.md does not match the tables: run `make generate`");
}

#[test]
fn names_within_a_kind_are_unique() {
    for kind in EventKind::ALL {
        let names: HashSet<_> = kind.columns().map(|column| column.name()).collect();
        assert_eq!(names.len(), kind.columns().count(), "{kind:?}");
    }
}
