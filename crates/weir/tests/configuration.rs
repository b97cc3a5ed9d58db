//! The committed reference page is that of the flags. `WEIR_BLESS=1` writes it anew.

use std::process::Command;

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).output().expect("weir starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_reference_page_is_that_of_the_flags() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = printed(&["config", "docs"]);
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(path, &page).expect("docs/configuration.md can be written");
    }
    let committed = std::fs::read_to_string(path).expect("docs/configuration.md is there");
    assert!(committed == page, "docs/configuration.md does not match the flags: run `make generate`");
}

#[test]
fn every_flag_of_the_help_is_on_the_page() {
    let (help, page) = (printed(&["run", "--help"]), printed(&["config", "docs"]));
    let options = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let flags: Vec<_> =
        options.filter_map(|line| line.split(' ').find(|word| word.starts_with("--"))).collect();
    assert!(flags.len() > 8, "{help}");
    for flag in flags.iter().filter(|flag| !["--help", "--config"].contains(*flag)) {
        assert!(page.contains(&format!("`{flag}`")), "no {flag} on the page");
    }
}
