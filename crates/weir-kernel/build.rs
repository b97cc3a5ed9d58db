//! Tells the probes' build where the C headers are: ours, and those of the libbpf we link.

use std::env;

fn main() {
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let libbpf = env::var("DEP_BPF_INCLUDE").expect("libbpf-sys exports its include directory");
    println!("cargo::metadata=include={manifest}/include");
    println!("cargo::metadata=libbpf={libbpf}");
    println!("cargo::rustc-env=WEIR_LIBBPF_INCLUDE={libbpf}");
    println!("cargo::rerun-if-changed=include");
}
