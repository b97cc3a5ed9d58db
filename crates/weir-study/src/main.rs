//! `weir-bench`: see [`weir_study::bench`].

fn main() -> std::process::ExitCode {
    weir_study::bench::main()
}
