//! The committed reference page is that of the tables. `WEIR_BLESS=1` writes it anew.

use std::fs;
use weir_ipfix::elements_page;

#[test]
fn the_page_of_elements_is_that_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ipfix.md");
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(path, elements_page()).expect("docs/ipfix.md can be written");
    }
    let committed = fs::read_to_string(path).expect("docs/ipfix.md is there");
    assert!(committed == elements_page(), "docs/ipfix.md does not match the tables: run `make generate`");
}
