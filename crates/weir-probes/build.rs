//! Compiles each probe's C with clang into an object that the crate embeds.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROBES: [&str; 1] = ["flows"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let ours = env::var("DEP_WEIR_KERNEL_INCLUDE").expect("weir-kernel exports its headers");
    let libbpf = env::var("DEP_WEIR_KERNEL_LIBBPF").expect("weir-kernel exports libbpf's headers");
    for probe in PROBES {
        let source = format!("src/{probe}/{probe}.bpf.c");
        compile(Path::new(&source), &out.join(format!("{probe}.bpf.o")), &[&ours, &libbpf]);
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-changed={ours}");
    println!("cargo::rerun-if-env-changed=CLANG");
}

fn compile(source: &Path, object: &Path, include: &[&str]) {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let mut command = Command::new(&clang);
    // v3 of the instruction set: 32-bit jumps and ALU, since Linux 5.1.
    command.args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror"]);
    command.args(include.iter().map(|directory| format!("-I{directory}")));
    command.arg("-c").arg(source).arg("-o").arg(object);
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{clang} could not compile {}: {status}", source.display()),
        Err(error) => panic!("cannot run {clang} ({error}): install it, `make setup` does"),
    }
}
