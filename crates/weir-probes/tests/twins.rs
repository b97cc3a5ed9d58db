//! The committed Rust twins are those of the C headers. `WEIR_BLESS=1` writes them anew.

use std::fs;

const STRUCTS: [&str; 9] = [
    "flow_entry",
    "flow_addresses",
    "flow_bucket",
    "part_state",
    "spill_record",
    "ledger_cell",
    "interface_entry",
    "fragment_key",
    "fragment_origin",
];

#[test]
fn twins_are_those_of_the_headers() {
    let kernel = concat!(env!("CARGO_MANIFEST_DIR"), "/../weir-kernel");
    let header = fs::read_to_string(format!("{kernel}/include/weir/record.h")).expect("the header is there");
    let rendered = weir_kernel::layout::render(weir_probes::flows::OBJECT, &STRUCTS, &header)
        .expect("the object has every record type");
    let path = format!("{kernel}/src/twins.rs");
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(&path, &rendered).expect("twins.rs can be written");
    }
    let committed = fs::read_to_string(&path).expect("twins.rs is there");
    assert!(committed == rendered, "twins.rs does not match the headers: run `make generate`");
}
