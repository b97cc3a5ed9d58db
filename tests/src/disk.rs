//! A small disk, which can be filled.

use crate::folder::Folder;
use crate::netns::succeed;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is written at once, until less is all that fits: the last of it is a page.
const PIECES: [usize; 2] = [1 << 20, 4096];

/// A file system in memory, taken down whatever happens.
pub struct Disk(PathBuf);

impl Disk {
    /// Of this size, in the place of a folder.
    pub fn of(folder: &Folder, size: &str) -> Self {
        let options = format!("size={size}");
        succeed(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.place()));
        Self(folder.place().to_owned())
    }

    /// Where it is.
    pub fn place(&self) -> &Path {
        &self.0
    }

    /// Makes it larger, or smaller.
    pub fn resize(&self, size: &str) {
        succeed(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0));
    }

    /// Writes a file until nothing more fits.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        for piece in PIECES.map(|length| vec![0; length]) {
            let full = loop {
                if let Err(error) = file.write_all(&piece) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull);
        }
    }

    /// Takes that file away.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
