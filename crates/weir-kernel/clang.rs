//! How every BPF object of this project is compiled: for build scripts and tests, which include this file.

use std::path::Path;
use std::process::Command;

/// Our headers, from where a crate's build script runs. By metadata of weir-kernel's the path would be an absolute one,
/// which outlives a clone that is moved, in a target directory that is kept.
pub const HEADERS: &str = "../weir-kernel/include";

/// The compiler: `$CLANG`, or `clang`.
pub fn clang() -> String {
    std::env::var("CLANG").unwrap_or_else(|_| "clang".into())
}

/// Compiles one C file into a BPF object, with the directories in `include` searched for headers.
pub fn compile(source: &Path, object: &Path, include: &[&str]) {
    let clang = clang();
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
