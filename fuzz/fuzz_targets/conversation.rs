#![no_main]

#[path = "../body.rs"]
#[allow(dead_code, reason = "each target uses a part of it")]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::conversation(bytes));
