//! Compiles each probe's C with clang into an object that the crate embeds.

#[path = "../weir-kernel/clang.rs"]
mod clang;

use std::env;
use std::path::{Path, PathBuf};

/// Directory and source of each object.
const PROBES: [(&str, &str); 13] = [
    ("flows", "flows"),
    ("flows", "flows_by_key"),
    ("flows", "flows_drawn"),
    ("flows", "flows_drawn_by_key"),
    ("sockets", "sockets"),
    ("holders", "holders"),
    ("processes", "processes"),
    ("dns", "dns"),
    ("calls", "calls"),
    ("retransmits", "retransmits"),
    ("drops", "drops"),
    ("tcp", "tcp"),
    ("hellos", "hellos"),
];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let libbpf = env::var("DEP_WEIR_KERNEL_LIBBPF").expect("weir-kernel exports libbpf's headers");
    for (directory, probe) in PROBES {
        let source = format!("src/{directory}/{probe}.bpf.c");
        clang::compile(Path::new(&source), &out.join(format!("{probe}.bpf.o")), &[clang::HEADERS, &libbpf]);
        println!("cargo::rerun-if-changed=src/{directory}");
    }
    println!("cargo::rerun-if-changed={}", clang::HEADERS);
    println!("cargo::rerun-if-env-changed=CLANG");
}
