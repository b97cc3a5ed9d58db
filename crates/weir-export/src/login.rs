//! As whom a server is asked over HTTP.

use crate::trust::read;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What is sent along with each request. The secrets lie in files, which are read again at each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Whoever has the token (RFC 6750).
    Token(PathBuf),
    /// A user with a password (RFC 7617).
    Basic {
        /// Without a colon.
        user: String,
        /// The file with the password.
        password: PathBuf,
    },
}

impl Login {
    /// What the header `Authorization` says.
    pub fn header(&self) -> io::Result<String> {
        match self {
            Self::Token(path) => {
                let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
                let text = secret(path)?.filter(|text| is_word(text));
                let text = text.ok_or_else(|| no(path, "token: one word, in one line"))?;
                Ok(format!("Bearer {text}"))
            }
            Self::Basic { user, password } => {
                let text = self::password(password)?;
                Ok(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{text}"))))
            }
        }
    }
}

/// What is in a file with a password.
pub fn password(path: &Path) -> io::Result<String> {
    let is_line = |text: &str| !text.contains(char::is_control);
    secret(path)?.filter(|text| is_line(text)).ok_or_else(|| no(path, "password: one line"))
}

/// Whether what is sent to it stays on this host.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What is in a file, without what stands around it; nothing where nothing is.
pub fn secret(path: &Path) -> io::Result<Option<String>> {
    let text = String::from_utf8(read(path)?).ok();
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

fn no(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("{} holds no {what}", path.display()))
}
