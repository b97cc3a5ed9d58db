//! Where the corpora are. The tests that read them include this file.

use std::path::Path;

/// What a target is given: more files than so many.
pub fn corpus(target: &str, least: usize) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = folder.read_dir().expect("the corpus is there").map(|file| file.expect("a file").path());
    let all: Vec<_> = files.map(|path| std::fs::read(path).expect("it can be read")).collect();
    assert!(all.len() > least, "{} files", all.len());
    all
}
