//! The targets over their corpus, and over what comes of changing it: for where there is no nightly compiler.

#[path = "../../../../fuzz/corpus.rs"]
mod files;

use super::{answers, streams};
use files::corpus;

/// Some places of so many bytes, the first and the last ones and as many between them.
fn places(length: usize, most: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(length.div_ceil(most).max(1))
}

/// Each file as it is, cut off, and with a bit or a byte that is another one.
fn spoilt(target: &str, most: usize, read: fn(&[u8])) {
    for file in corpus(target, 10) {
        read(&file);
        for at in places(file.len(), most) {
            read(&file[..at]);
            for change in [1, 0x80, 0xff] {
                let mut file = file.clone();
                file[at] ^= change;
                read(&file);
            }
        }
    }
}

#[test]
fn what_peers_answer() {
    spoilt("answers", 200, answers);
}

#[test]
fn what_streams_hold() {
    spoilt("streams", 16, streams);
}
