//! Where damaged files go, and those of others: out of every reader's way, and kept for whoever wants to look.

use crate::Result;
use crate::error::On;
use crate::segment::sync_directory;
use std::fs;
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "quarantine";

/// Moves a file there; where it is now.
pub(crate) fn set_aside(store: &Path, file: &Path) -> Result<PathBuf> {
    let directory = store.join(DIRECTORY);
    fs::create_dir_all(&directory).on("create", &directory)?;
    let relative = file.strip_prefix(store).unwrap_or(file);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    let name = parts.join("_");
    let places = (0_u32..).map(|count| match count {
        0 => directory.join(&name),
        _ => directory.join(format!("{name}.{count}")),
    });
    let free = places.into_iter().find(|place| !place.exists()).unwrap_or_else(|| directory.join(&name));
    fs::rename(file, &free).on("move", file)?;
    sync_directory(&directory)?;
    Ok(free)
}
