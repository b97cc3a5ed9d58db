//! Tells the probes' build where the headers of the libbpf are that we link.

use std::env;

fn main() {
    let libbpf = env::var("DEP_BPF_INCLUDE").expect("libbpf-sys exports its include directory");
    println!("cargo::metadata=libbpf={libbpf}");
    println!("cargo::rustc-env=WEIR_LIBBPF_INCLUDE={libbpf}");
    println!("cargo::rerun-if-changed=build.rs");
}
