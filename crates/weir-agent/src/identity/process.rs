//! One process, as procfs describes it.
//!
//! Whoever runs a process chooses its name and its arguments. So what is read is bounded, control
//! characters are escaped, and what looks like a secret among the arguments is masked before it goes
//! any further. Masking rather hides too much: from a secret on, the rest of an argument is hidden.

use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use weir_record::{cgroup, printable};

/// Bytes of the arguments that are read at most: more than are worth showing, so that a secret at
/// their end can still be told from its beginning.
const ARGUMENTS: usize = weir_kernel::LONGEST_ARGUMENTS as usize;
/// The same for other files. A line per hierarchy may each hold a path of 4 KiB.
const FILE: usize = 64 * 1024;
/// What stands in a secret's place.
const MASK: &str = "***";
/// What ends arguments that were cut.
const CUT: char = '…';
/// A value is secret if the name before it contains one of these, dashes and underscores left out.
const SECRET: [&str; 9] =
    ["password", "passwd", "pwd", "secret", "token", "apikey", "accesskey", "privatekey", "credential"];

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The id of the process that started it, or took it over.
    pub parent: u32,
    /// When it began, in clock ticks since the system did: with the id, it tells processes apart.
    pub start_ticks: u64,
    /// The user whose rights it has.
    pub user_id: u32,
    /// Its short name.
    pub command: String,
    /// The path of its program. Threads of the kernel have none; others' may be out of sight.
    pub executable: Option<String>,
    /// Its arguments, masked, if they are wanted and there are any.
    pub arguments: Option<String>,
    /// The path of its cgroup that says most about its owner: as it is, for [`cgroup::owner`] to judge.
    pub cgroup: Option<String>,
}

/// Whether the arguments of a process are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments {
    /// No.
    Hidden,
    /// As many bytes of them, and 4.5 KiB at most.
    UpTo(usize),
}

/// Reads a process, unless it is gone. `proc` is where procfs is mounted.
///
/// All is read through one handle, which stays with this process: another one that got the same id
/// meanwhile is not mistaken for it.
#[must_use]
pub fn read(proc: &Path, pid: u32, arguments: Arguments) -> Option<Process> {
    let folder = File::open(proc.join(pid.to_string())).ok()?;
    let (parent, start_ticks) = parse_stat(&content(&folder, "stat", FILE)?)?;
    let user_id = effective_user(&text(&folder, "status")?)?;
    let command = text(&folder, "comm")?;
    let arguments = match arguments {
        Arguments::Hidden => None,
        Arguments::UpTo(limit) => {
            content(&folder, "cmdline", ARGUMENTS).and_then(|raw| command_line(raw, limit))
        }
    };
    Some(Process {
        pid,
        parent,
        start_ticks,
        user_id,
        command: printable(command.strip_suffix('\n').unwrap_or(&command)),
        executable: executable(&folder),
        arguments,
        cgroup: text(&folder, "cgroup").and_then(|text| cgroup::path_of(&text).map(str::to_owned)),
    })
}

/// When the process of this number began, and [`Process::cgroup`]: for who knows the rest.
#[must_use]
pub fn read_cgroup(proc: &Path, pid: u32) -> Option<(u64, String)> {
    let folder = File::open(proc.join(pid.to_string())).ok()?;
    let (_, start_ticks) = parse_stat(&content(&folder, "stat", FILE)?)?;
    Some((start_ticks, cgroup::path_of(&text(&folder, "cgroup")?)?.to_owned()))
}

fn content(folder: &File, name: &str, limit: usize) -> Option<Vec<u8>> {
    let file = openat(folder, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mut content = Vec::with_capacity(4096);
    File::from(file).take(limit as u64).read_to_end(&mut content).ok()?;
    Some(content)
}

fn text(folder: &File, name: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&content(folder, name, FILE)?).into_owned())
}

fn executable(folder: &File) -> Option<String> {
    let path = readlinkat(folder, "exe").ok()?;
    let path = path.to_string_lossy();
    Some(printable(path.strip_suffix(" (deleted)").unwrap_or(&path)))
}

/// Parent and start, fields 4 and 22. The second field is the short name in parentheses, and may
/// hold anything, parentheses and line ends included; none come after it.
fn parse_stat(stat: &[u8]) -> Option<(u32, u64)> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?.split_ascii_whitespace();
    Some((fields.nth(4 - 3)?.parse().ok()?, fields.nth(22 - 4 - 1)?.parse().ok()?))
}

/// The second of the four users: the one whose rights count.
fn effective_user(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Arguments as one line, without secrets, from how they lie in the process.
pub fn command_line(mut raw: Vec<u8>, limit: usize) -> Option<String> {
    let incomplete = raw.len() >= ARGUMENTS;
    if incomplete {
        // What a word is may only show at its end, as with a password before the @ of a URL.
        let ends_word = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
        raw.truncate(raw.iter().rposition(ends_word).unwrap_or(0));
    }
    while raw.last() == Some(&0) {
        raw.pop();
    }
    if raw.is_empty() && !incomplete {
        return None;
    }
    let pieces: Vec<_> = raw.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let line = masked(&pieces).iter().map(|piece| printable(piece)).collect::<Vec<_>>().join(" ");
    Some(cut(line, limit, incomplete))
}

/// At most as many bytes, and a sign that there were more.
fn cut(mut line: String, limit: usize, incomplete: bool) -> String {
    if line.len() > limit {
        line.truncate(line.floor_char_boundary(limit));
    } else if !incomplete {
        return line;
    }
    line.push(CUT);
    line
}

/// Where secrets begin in a piece, and whether the next piece is one.
enum Found {
    Nothing,
    /// From this byte on.
    Here(usize),
    Next,
}

fn masked(pieces: &[impl AsRef<str>]) -> Vec<String> {
    let mut secret = false;
    let mut masked = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let piece = piece.as_ref();
        // An option that takes no value is followed by another one.
        if std::mem::take(&mut secret) && !piece.starts_with("--") {
            masked.push(MASK.to_owned());
            continue;
        }
        let found = find_secret(piece);
        secret = matches!(found, Found::Next);
        masked.push(match found {
            Found::Here(start) => mask_urls(&piece[..start]) + MASK,
            Found::Nothing | Found::Next => mask_urls(piece),
        });
    }
    masked
}

/// The first value with a secret's name: `name=value`, `--name value`, `"name": value`, and headers.
fn find_secret(piece: &str) -> Found {
    let mut end = 0;
    while let Some(start) = piece[end..].find(in_name).map(|start| end + start) {
        end = piece[start..].find(|it: char| !in_name(it)).map_or(piece.len(), |length| start + length);
        let (name, rest) = (&piece[start..end], &piece[end..]);
        if !is_secret(name) {
            continue;
        }
        if rest.is_empty() && start == 0 && name.starts_with('-') {
            return Found::Next;
        }
        if let Some(value) = value(name, rest) {
            return Found::Here(piece.len() - value.len());
        }
    }
    Found::Nothing
}

fn in_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-' || character == '_'
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let compact = name.replace(['-', '_'], "");
    SECRET.iter().any(|word| compact.contains(word)) || name.split("auth").skip(1).any(is_authentication)
}

/// Whether `auth` with this after it is not about an author, or an authority.
fn is_authentication(rest: &str) -> bool {
    !rest.starts_with("or") || rest.starts_with("orization")
}

/// The value of a secret's name, where what follows that is one. A colon alone is no sign: it is
/// also between the name of an image and its tag, or two paths.
fn value<'a>(name: &str, rest: &'a str) -> Option<&'a str> {
    let unquoted = rest.strip_prefix(['"', '\'']);
    let after_name = unquoted.unwrap_or(rest);
    if let Some(value) = after_name.strip_prefix('=') {
        return Some(value);
    }
    if let Some(value) = after_name.strip_prefix(':') {
        let header = name.to_ascii_lowercase().ends_with("authorization");
        let sure = header || unquoted.is_some() || value.starts_with(char::is_whitespace);
        return sure.then(|| value.trim_start());
    }
    let value = rest.trim_start();
    let option = name.starts_with('-') && value.len() < rest.len();
    (option && !value.is_empty() && !value.starts_with("--")).then_some(value)
}

/// `scheme://user:***@host`. Passwords are not always encoded as they should be, so all that is
/// between the first colon and the last @ of a word is taken for one.
fn mask_urls(text: &str) -> String {
    let ends_word = |it: char| it.is_whitespace() || matches!(it, '"' | '\'');
    let mut masked = String::with_capacity(text.len());
    for word in text.split_inclusive(ends_word) {
        let password = word.find("://").map(|at| at + "://".len()).and_then(|start| {
            let end = start + word[start..].rfind('@')?;
            Some((start + word[start..end].find(':')? + 1, end))
        });
        match password {
            Some((start, end)) => masked.extend([&word[..start], MASK, &word[end..]]),
            None => masked.push_str(word),
        }
    }
    masked
}

#[cfg(test)]
mod tests;
