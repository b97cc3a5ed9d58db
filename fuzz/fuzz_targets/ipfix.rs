#![no_main]

#[path = "../ipfix.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::ipfix(bytes));
