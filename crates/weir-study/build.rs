//! Compiles the arms' C with clang into objects that the crate embeds, and notes which clang it was.

// The very flags that the probes have: arms are to differ in what they do, not in how they were built.
#[path = "../weir-kernel/clang.rs"]
mod clang;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const OBJECTS: [&str; 7] = ["arena", "arrays", "harness", "hashes", "mix", "postcards", "traffic"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let libbpf = env::var("DEP_WEIR_KERNEL_LIBBPF").expect("weir-kernel exports libbpf's headers");
    for object in OBJECTS {
        let source = format!("src/arms/{object}.bpf.c");
        clang::compile(Path::new(&source), &out.join(format!("{object}.bpf.o")), &[clang::HEADERS, &libbpf]);
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rustc-env=WEIR_STUDY_CLANG={}", version(&clang::clang()));
    println!("cargo::rerun-if-changed=src/arms/plain.h");
    println!("cargo::rerun-if-changed={}", clang::HEADERS);
    println!("cargo::rerun-if-env-changed=CLANG");
}

fn version(clang: &str) -> String {
    let output = Command::new(clang).arg("--version").output().expect("clang has just run");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().unwrap_or("clang").to_owned()
}
