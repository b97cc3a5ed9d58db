//! Files that runtimes leave on disk, read with care: some of them lie where users write.

use super::source::Failure;
use nix::fcntl::OFlag;
use serde::de::DeserializeOwned;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of a file, or of an answer. What runtimes write of a container has some ten thousand.
pub const LARGEST: u64 = 4 << 20;

/// What a file says, unless there is none.
///
/// # Errors
/// It may not be read, is not a file, is too large, or is not what it should be.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    // What only pretends to be a file must neither be followed nor waited for.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(Failure::Other(format!("{} is not a file", path.display())));
    }
    parse(file).map(Some)
}

/// What a text says, read to its end.
///
/// # Errors
/// It is too large, or not what it should be.
pub fn parse<T: DeserializeOwned>(text: impl Read) -> Result<T, Failure> {
    let mut content = Vec::new();
    text.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(Failure::Other(format!("it says more than {} MiB", LARGEST >> 20)));
    }
    // Its own words could be quoted in the error, all 4 MiB of them.
    let unclear = |error: serde_json::Error| {
        Failure::Other(format!("it is not understood (line {}, column {})", error.line(), error.column()))
    };
    serde_json::from_str(&String::from_utf8_lossy(&content)).map_err(unclear)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;
    use nix::sys::stat::Mode;
    use serde_json::Value;

    fn refused(path: &Path) -> String {
        read::<Value>(path).expect_err("refused").to_string()
    }

    #[test]
    fn only_files_of_some_size_are_read() {
        let folder = Folder::new("file");
        let path = |name: &str| folder.path().join(name);
        assert!(matches!(read::<Value>(&path("none")), Ok(None)));
        assert!(matches!(read::<Value>(&path("none/below")), Ok(None)));
        nix::unistd::mkfifo(&path("pipe"), Mode::S_IRWXU).expect("a pipe");
        assert!(refused(&path("pipe")).ends_with("is not a file"));
        assert!(refused(folder.path()).ends_with("is not a file"));
        folder.write("whole", "{}");
        std::os::unix::fs::symlink(path("whole"), path("link")).expect("a link");
        refused(&path("link"));
        folder.write("large", &" ".repeat(LARGEST as usize + 1));
        assert_eq!(refused(&path("large")), "it says more than 4 MiB");
        folder.write("garbage", "{\"Name\":");
        assert!(refused(&path("garbage")).starts_with("it is not understood (line 1"));
    }

    #[test]
    fn text_need_not_be_utf8() {
        let folder = Folder::new("utf8");
        std::fs::write(folder.path().join("raw"), b"\"a\xffb\"").expect("it is written");
        let text: Option<String> = read(&folder.path().join("raw")).expect("a text");
        assert_eq!(text.as_deref(), Some("a\u{fffd}b"));
    }
}
