//! The committed Rust twins are those of the C headers. `WEIR_BLESS=1` writes them anew.

#[path = "../clang.rs"]
mod clang;

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const STRUCTS: [&str; 28] = [
    "flow_entry",
    "flow_addresses",
    "flow_bucket",
    "part_state",
    "spill_record",
    "burst_packet",
    "ledger_cell",
    "interface_key",
    "interface_entry",
    "rule_head",
    "rule_block",
    "rule_set",
    "rule_point",
    "rule_action",
    "fragment_key",
    "fragment_origin",
    "socket_owner",
    "socket_event",
    "left_use",
    "socket_holder",
    "call_event",
    "retransmit_event",
    "payload_part",
    "process_event",
    "handshake_event",
    "drop_key",
    "drop_count",
    "tcp_look",
];

/// An object that uses every record, so that its type information describes them all.
fn object_with_every_record(directory: &Path) -> Vec<u8> {
    let (source, object) = (directory.join("records.c"), directory.join("records.o"));
    let mut text = String::from("#include <weir/record.h>\n");
    for name in STRUCTS {
        let _ = writeln!(text, "struct {name} *a_{name};");
    }
    fs::write(&source, text).expect("the source can be written");
    let include = [clang::HEADERS, env!("WEIR_LIBBPF_INCLUDE")];
    clang::compile(&source, &object, &include);
    fs::read(&object).expect("the object is there")
}

#[test]
fn twins_are_those_of_the_headers() {
    let root = env!("CARGO_MANIFEST_DIR");
    let object = object_with_every_record(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let header = fs::read_to_string(format!("{root}/include/weir/record.h")).expect("the header is there");
    let rendered =
        weir_kernel::layout::render(&object, &STRUCTS, &header).expect("the object has every record type");
    let path = format!("{root}/src/twins.rs");
    if env::var_os("WEIR_BLESS").is_some() {
        fs::write(&path, &rendered).expect("twins.rs can be written");
    }
    let committed = fs::read_to_string(&path).expect("twins.rs is there");
    assert!(committed == rendered, "twins.rs does not match the headers: run `make generate`");
}
