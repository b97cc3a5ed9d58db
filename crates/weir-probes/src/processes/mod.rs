//! The processes probe: what processes run, and where their control groups lie.
//!
//! The kernel half is `processes.bpf.c`. Nothing of it runs for a packet: it hears of processes that begin, become
//! another program and end, and of control groups that come and go.

use weir_kernel::{Loaded, Opened, ProcessEvent, Result, Ring, Traced};

/// The object itself, to try its programs one by one.
pub const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/processes.bpf.o"));

/// The programs that run, by name.
pub const PROGRAMS: [&str; 5] =
    ["weir_became", "weir_copied", "weir_ended", "weir_group_made", "weir_group_gone"];

/// What is read of processes that become another program, beside its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandLines {
    /// Nothing.
    Ignored,
    /// Their arguments.
    Read,
}

/// The probe, attached.
pub struct Processes {
    loaded: Loaded,
    events: Ring<ProcessEvent>,
    _traced: Vec<Traced>,
}

impl Processes {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// The kernel's refusal: it takes `tp_btf` programs and the ring buffer (5.8).
    pub fn attach(command_lines: CommandLines) -> Result<Self> {
        let mut opened = Opened::new("processes", OBJECT)?;
        opened.set_constant("with_arguments", u32::from(command_lines == CommandLines::Read))?;
        let loaded = opened.load()?;
        let events = Ring::new(&loaded, "process_events")?;
        let traced = PROGRAMS.iter().map(|program| loaded.trace(program)).collect::<Result<_>>()?;
        Ok(Self { loaded, events, _traced: traced })
    }

    /// The object itself, for its statistics.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Hands the events that are there to `visit`, each with the text that follows it, at most about `limit` of
    /// them. How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, visit: impl FnMut(&ProcessEvent, &[u8])) -> Result<usize> {
        self.events.consume_with_text(limit, visit)
    }

    /// How much of the ring was full, as [`Ring::take_fill`] has it.
    pub fn take_fill(&self) -> f64 {
        self.events.take_fill()
    }

    /// Events that the ring had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        self.loaded.global_value("lost_process_events")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use weir_kernel::{PROCESS_BECAME, PROCESS_COPIED, PROCESS_ENDED};

    #[test]
    fn root_a_short_life_is_told_from_its_beginning_to_its_end() {
        let probe = Processes::attach(CommandLines::Read).expect("the kernel takes it");
        let mut child = Command::new("true").args(["one", "two"]).spawn().expect("it starts");
        child.wait().expect("it ends");
        let mut told = Vec::new();
        let mut text_of_program = Vec::new();
        let visit = |event: &ProcessEvent, text: &[u8]| {
            if event.pid == child.id() {
                assert_eq!(event.parent, std::process::id());
                told.push(u32::from(event.change));
                if u32::from(event.change) == PROCESS_BECAME {
                    text_of_program.push((usize::from(event.path), text.to_vec()));
                }
            }
        };
        probe.consume(10_000, visit).expect("it can be read");
        assert_eq!(told, [PROCESS_COPIED, PROCESS_BECAME, PROCESS_ENDED]);
        let (path, text) = &text_of_program[0];
        assert!(text[..*path].ends_with(b"bin\0usr\0") || text[..*path].ends_with(b"bin\0"), "{text:?}");
        assert_eq!(&text[*path..], b"true\0one\0two\0");
        assert_eq!(probe.lost().expect("it is there"), 0);
    }
}
