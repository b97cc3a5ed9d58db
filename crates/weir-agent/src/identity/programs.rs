//! What processes run, as the kernel has told it: known of those that are gone a moment later, too.

use super::lingering::Lingering;
use super::process::{Arguments, command_line};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::{PROCESS_BECAME, PROCESS_COPIED, ProcessEvent, SocketOwner};
use weir_record::printable;

/// What tells one program in one process from all others: numbers are given anew, and a process may become
/// another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    /// The process's number.
    pub pid: u32,
    /// When it began, in nanoseconds since boot.
    pub started: u64,
    /// How often it, or what it is a copy of, became another program.
    pub program: u32,
}

impl From<&SocketOwner> for Id {
    fn from(owner: &SocketOwner) -> Self {
        Self { pid: owner.pid, started: owner.started, program: owner.program }
    }
}

/// A program with its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The path of its file.
    pub executable: Option<String>,
    /// Its arguments, masked, if they are wanted.
    pub arguments: Option<String>,
}

/// What is known of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It runs this.
    Runs(Arc<Program>),
    /// It runs what this one did when it was copied, which was there before the agent.
    CopyOf(Id),
}

/// What is gone is kept for so long: what it did is told of within a drain.
const LINGER: Duration = Duration::from_secs(5);

/// A bounded table of them.
#[derive(Debug)]
pub struct Programs {
    known: Lingering<Id, Known>,
    arguments: Arguments,
}

impl Programs {
    /// For `capacity` of them.
    pub fn new(capacity: usize, arguments: Arguments) -> Self {
        Self { known: Lingering::new(capacity, LINGER), arguments }
    }

    /// How many had to go before their processes did.
    pub fn evicted(&self) -> u64 {
        self.known.evicted()
    }

    /// Takes in what became of a process.
    pub fn learn(&mut self, event: &ProcessEvent, text: &[u8], now: Instant) {
        let id = Id { pid: event.pid, started: event.started, program: event.program };
        match u32::from(event.change) {
            PROCESS_COPIED => {
                let origin = Id { pid: event.parent, started: event.origin, ..id };
                let known = self.known.get(&origin).cloned().unwrap_or(Known::CopyOf(origin));
                self.known.insert(id, known);
            }
            PROCESS_BECAME => {
                let program = program(text, event.path.into(), self.arguments);
                self.known.insert(id, Known::Runs(Arc::new(program)));
                self.known.leave(Id { program: id.program.wrapping_sub(1), ..id }, now);
            }
            _ => self.known.leave(id, now),
        }
    }

    /// What others have found out about a process.
    pub fn remember(&mut self, id: Id, program: Arc<Program>) {
        self.known.insert(id, Known::Runs(program));
    }

    /// What a process runs, as far as it was told. What it is a copy of may be known by now.
    pub fn get(&self, id: &Id) -> Option<&Known> {
        match self.known.get(id)? {
            Known::CopyOf(origin) => self.known.get(origin).or_else(|| self.known.get(id)),
            known => Some(known),
        }
    }

    /// Whether the process has become another program since: what /proc says is about that one.
    pub fn is_past(&self, id: &Id) -> bool {
        self.known.get(&Id { program: id.program.wrapping_add(1), ..*id }).is_some()
    }

    /// Forgets what has been gone for long enough.
    pub fn expire(&mut self, now: Instant) {
        self.known.expire(now);
    }
}

/// A path's parts, the last one first, and what follows them.
fn program(text: &[u8], path: usize, arguments: Arguments) -> Program {
    let (path, rest) = text.split_at_checked(path).unwrap_or((text, &[]));
    let mut executable = String::new();
    for part in path.split(|byte| *byte == 0).rev().filter(|part| !part.is_empty()) {
        executable.push('/');
        executable.push_str(&printable(&String::from_utf8_lossy(part)));
    }
    Program {
        executable: (!executable.is_empty()).then_some(executable),
        arguments: match arguments {
            Arguments::Hidden => None,
            Arguments::UpTo(limit) => command_line(rest.to_vec(), limit),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::PROCESS_ENDED;

    const ID: Id = Id { pid: 7, started: 100, program: 3 };

    fn programs() -> Programs {
        Programs::new(3, Arguments::UpTo(100))
    }

    fn event(id: Id, change: u32) -> ProcessEvent {
        let Id { pid, started, program } = id;
        ProcessEvent { pid, started, program, change: change as u16, ..ProcessEvent::default() }
    }

    fn become_(programs: &mut Programs, id: Id, path: &[u8], arguments: &[u8], now: Instant) {
        let event = ProcessEvent { path: path.len() as u16, ..event(id, PROCESS_BECAME) };
        programs.learn(&event, &[path, arguments].concat(), now);
    }

    fn runs(programs: &Programs, id: Id) -> (Option<String>, Option<String>) {
        match programs.get(&id) {
            Some(Known::Runs(program)) => (program.executable.clone(), program.arguments.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_is_known_with_its_arguments_and_without_its_secrets() {
        let mut programs = programs();
        become_(&mut programs, ID, b"curl\0bin\0usr\0", b"curl\0--token=abc\0\x1b[2J\xff\0", Instant::now());
        let (executable, arguments) = runs(&programs, ID);
        assert_eq!(executable.as_deref(), Some("/usr/bin/curl"));
        assert_eq!(arguments.as_deref(), Some("curl --token=*** \\u{1b}[2J\u{fffd}"));
    }

    #[test]
    fn a_copy_runs_what_its_origin_ran() {
        let (mut programs, now) = (programs(), Instant::now());
        become_(&mut programs, ID, b"a\0", b"a\0", now);
        let child = Id { pid: 8, started: 200, ..ID };
        let copied = ProcessEvent { parent: 7, origin: 100, ..event(child, PROCESS_COPIED) };
        programs.learn(&copied, &[], now);
        assert_eq!(runs(&programs, child).0.as_deref(), Some("/a"));
    }

    #[test]
    fn a_copy_of_an_older_one_waits_for_word_of_it() {
        let (mut programs, now) = (programs(), Instant::now());
        let child = Id { pid: 8, started: 200, ..ID };
        let copied = ProcessEvent { parent: 7, origin: 100, ..event(child, PROCESS_COPIED) };
        programs.learn(&copied, &[], now);
        assert_eq!(programs.get(&child), Some(&Known::CopyOf(ID)));
        programs.remember(ID, Arc::new(Program { executable: Some("/old".into()), arguments: None }));
        assert_eq!(runs(&programs, child).0.as_deref(), Some("/old"));
    }

    #[test]
    fn what_it_ran_before_lingers() {
        let (mut programs, now) = (programs(), Instant::now());
        let next = Id { program: 4, ..ID };
        become_(&mut programs, ID, b"a\0", b"", now);
        become_(&mut programs, next, b"b\0", b"", now);
        assert!(programs.is_past(&ID) && !programs.is_past(&next));
        assert_eq!(runs(&programs, ID).0.as_deref(), Some("/a"));
        programs.learn(&event(next, PROCESS_ENDED), &[], now + Duration::from_secs(3));
        programs.expire(now + LINGER);
        assert_eq!(programs.get(&ID), None);
        assert_eq!(runs(&programs, next).0.as_deref(), Some("/b"));
        programs.expire(now + Duration::from_secs(3) + LINGER);
        assert_eq!((programs.get(&next), programs.evicted()), (None, 0));
    }

    #[test]
    fn no_event_makes_it_panic() {
        let mut programs = programs();
        let event = ProcessEvent { path: u16::MAX, ..event(ID, PROCESS_BECAME) };
        programs.learn(&event, b"\0\0\xff", Instant::now());
        assert_eq!(runs(&programs, ID).0.as_deref(), Some("/\u{fffd}"));
    }
}
