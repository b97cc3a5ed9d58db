#![no_main]

use std::panic::{set_hook, take_hook};

libfuzzer_sys::fuzz_target!(
    // The reader catches what the decoder asserts. A panic that nobody catches ends the process all the same.
    init: {
        drop(take_hook());
        set_hook(Box::new(|_| {}));
    },
    |bytes: &[u8]| weir_export::fuzzing::streams(bytes)
);
