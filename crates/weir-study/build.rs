//! Compiles the arms' C with clang into objects that the crate embeds, and notes which clang it was.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const OBJECTS: [&str; 4] = ["harness", "hashes", "mix", "postcards"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let ours = env::var("DEP_WEIR_KERNEL_INCLUDE").expect("weir-kernel exports its headers");
    let libbpf = env::var("DEP_WEIR_KERNEL_LIBBPF").expect("weir-kernel exports libbpf's headers");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    for object in OBJECTS {
        let source = format!("src/packet/{object}.bpf.c");
        compile(&clang, Path::new(&source), &out.join(format!("{object}.bpf.o")), &[&ours, &libbpf]);
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rustc-env=WEIR_STUDY_CLANG={}", version(&clang));
    println!("cargo::rerun-if-changed=src/packet/plain.h");
    println!("cargo::rerun-if-changed={ours}");
    println!("cargo::rerun-if-env-changed=CLANG");
}

/// With the very flags that weir-probes uses: arms are to differ in what they do, not in how they were built.
fn compile(clang: &str, source: &Path, object: &Path, include: &[&str]) {
    let mut command = Command::new(clang);
    command.args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror"]);
    command.args(include.iter().map(|directory| format!("-I{directory}")));
    command.arg("-c").arg(source).arg("-o").arg(object);
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{clang} could not compile {}: {status}", source.display()),
        Err(error) => panic!("cannot run {clang} ({error}): install it, `make setup` does"),
    }
}

fn version(clang: &str) -> String {
    let output = Command::new(clang).arg("--version").output().expect("clang has just run");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().unwrap_or("clang").to_owned()
}
