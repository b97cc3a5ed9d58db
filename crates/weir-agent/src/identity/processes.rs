//! Processes that use sockets, each looked at once, while it is there.

use super::groups::{Groups, Mounts};
use super::process::{self, Arguments};
use super::programs::{Id, Known, Program, Programs};
use super::unix_now;
use hashbrown::HashMap;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::{GROUP_GONE, GROUP_MADE, Loaded, PROCESS_ENDED, SocketOwner, clock};
use weir_probes::processes::{self as probe, CommandLines};
use weir_record::{Process, cgroup, printable};

/// What the kernel's own threads are called: what they send is nobody's.
pub const KERNEL: &str = "kernel";
/// Programs that are remembered: about 300 bytes each.
const PROGRAMS: usize = 131_072;
/// Control groups that are remembered: about 200 bytes each.
const GROUPS: usize = 65_536;
/// Events that are taken at a time; more than the ring holds.
const AT_A_TIME: usize = 131_072;
const PROC: &str = "/proc";

/// A process, and what the kernel called it when it was looked at.
struct Met {
    command: [u8; 16],
    process: Arc<Process>,
}

/// Those that sockets were used by.
pub struct Processes {
    /// By what they run and where: either may change.
    known: HashMap<(Id, u64), Met>,
    /// How many there may be before those that no socket names are looked for.
    sweep_at: usize,
    capacity: usize,
    arguments: Arguments,
    /// When the system was booted, in nanoseconds since the Unix epoch.
    boot: u64,
    probe: Option<probe::Processes>,
    programs: Programs,
    groups: Groups,
    /// Events that were lost when groups were last looked for.
    lost: u64,
    /// Events so far.
    events: u64,
}

impl Processes {
    /// For `capacity` of them, besides those that a socket still names. What is not in /proc any more is not known.
    pub fn new(capacity: usize, arguments: Arguments) -> Self {
        Self {
            known: HashMap::new(),
            sweep_at: capacity,
            capacity,
            arguments,
            boot: boot(),
            probe: None,
            programs: Programs::new(PROGRAMS, arguments),
            groups: Groups::new(GROUPS, Mounts::own()),
            lost: 0,
            events: 0,
        }
    }

    /// From now on the kernel tells of processes and control groups; those groups that there are, are looked for.
    ///
    /// # Errors
    /// The kernel's refusal: then /proc is all there is.
    pub fn attach(&mut self) -> weir_kernel::Result<()> {
        let command_lines = match self.arguments {
            Arguments::Hidden => CommandLines::Ignored,
            Arguments::UpTo(_) => CommandLines::Read,
        };
        // Attached first: a group that is made meanwhile is met twice rather than not at all.
        self.probe = Some(probe::Processes::attach(command_lines)?);
        self.groups.walk(Instant::now());
        Ok(())
    }

    /// Takes in what the kernel has said meanwhile, and hands on which processes have ended.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, mut ended: impl FnMut(Id)) -> weir_kernel::Result<()> {
        let Self { probe: Some(probe), programs, groups, events, .. } = self else { return Ok(()) };
        let now = Instant::now();
        *events += probe.consume(AT_A_TIME, |event, text| match u32::from(event.change) {
            GROUP_MADE | GROUP_GONE => groups.learn(event, text, now),
            change => {
                programs.learn(event, text, now);
                if change == PROCESS_ENDED {
                    ended(Id { pid: event.pid, started: event.started, program: event.program });
                }
            }
        })? as u64;
        let lost = probe.lost()?;
        if lost != self.lost {
            // Groups may have been made unheard.
            self.lost = lost;
            groups.walk(now);
        }
        Ok(())
    }

    /// How full the ring was found since this was last asked for.
    pub fn take_fill(&self) -> f64 {
        self.probe.as_ref().map_or(0.0, probe::Processes::take_fill)
    }

    /// Events that have been taken in.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Forgets what is gone.
    pub fn expire(&mut self) {
        let now = Instant::now();
        self.programs.expire(now);
        self.groups.expire(now);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Programs and control groups that were forgotten while they were there.
    pub fn evicted(&self) -> u64 {
        self.programs.evicted() + self.groups.evicted()
    }

    /// Events that the kernel's ring had no room for.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The probe's object, while it is attached.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.probe.as_ref().map(probe::Processes::loaded)
    }

    /// The process that the kernel means. What it is called now counts: it may have given itself another name.
    pub fn of(&mut self, owner: &SocketOwner) -> Arc<Process> {
        let key = (Id::from(owner), owner.cgroup);
        if let Some(met) = self.known.get(&key).filter(|met| met.command == owner.command) {
            return Arc::clone(&met.process);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, met| Arc::strong_count(&met.process) > 1);
            // Not again for each one that comes where sockets hold nearly all of them.
            self.sweep_at = self.capacity.max(self.known.len() * 2);
        }
        let process = Arc::new(self.look_at(owner));
        self.known.insert(key, Met { command: owner.command, process: Arc::clone(&process) });
        process
    }

    /// What the kernel has told, and what /proc adds if the process is still there.
    fn look_at(&mut self, owner: &SocketOwner) -> Process {
        let told = Process {
            pid: owner.pid,
            parent_pid: Some(owner.parent),
            started: Some(self.boot + owner.started),
            user_id: owner.user_id,
            command: command(owner),
            ..Process::default()
        };
        if owner.is_kernel != 0 {
            return told;
        }
        let program = self.program(Id::from(owner));
        let path = self.cgroup(owner);
        let owner = path.as_deref().map(cgroup::owner).unwrap_or_default();
        Process {
            executable: program.executable.clone(),
            arguments: program.arguments.clone(),
            cgroup: path.as_deref().map(printable),
            unit: owner.unit,
            container: owner.container,
            pod_uid: owner.pod_uid,
            ..told
        }
    }

    /// What a process runs: as the kernel told, or else as /proc has it, or had it of what this is a copy of.
    fn program(&mut self, id: Id) -> Arc<Program> {
        let known = self.programs.get(&id).cloned();
        if let Some(Known::Runs(program)) = known {
            return program;
        }
        if let Some(program) = self.read_program(id) {
            return program;
        }
        let Some(Known::CopyOf(origin)) = known else { return Arc::default() };
        let Some(program) = self.read_program(origin) else { return Arc::default() };
        // Others will be copied from it.
        self.programs.remember(origin, Arc::clone(&program));
        program
    }

    fn read_program(&self, id: Id) -> Option<Arc<Program>> {
        if self.programs.is_past(&id) {
            return None;
        }
        // A process of the same number that has taken its place started later.
        let found = process::read(Path::new(PROC), id.pid, self.arguments)?;
        is_start(found.start_ticks, id.started)
            .then(|| Arc::new(Program { executable: found.executable, arguments: found.arguments }))
    }

    /// The path of its control group. Where there are hierarchies of version 1, theirs may say more.
    fn cgroup(&self, owner: &SocketOwner) -> Option<Cow<'_, str>> {
        let told = self.groups.path(owner.cgroup);
        if told.is_none() || self.groups.are_hybrid() {
            let read = process::read_cgroup(Path::new(PROC), owner.pid);
            if let Some((_, path)) = read.filter(|(start, _)| is_start(*start, owner.started)) {
                return Some(path.into());
            }
        }
        told.map(Cow::Borrowed)
    }
}

fn boot() -> u64 {
    let since_boot = clock::since_boot().unwrap_or(Duration::ZERO);
    unix_now().saturating_sub(since_boot.as_nanos() as u64)
}

fn command(owner: &SocketOwner) -> String {
    if owner.is_kernel != 0 {
        return KERNEL.into();
    }
    let end = owner.command.iter().position(|byte| *byte == 0).unwrap_or(owner.command.len());
    printable(&String::from_utf8_lossy(&owner.command[..end]))
}

/// /proc counts the start in hundredths of a second, the kernel in nanoseconds.
fn is_start(ticks: u64, started: u64) -> bool {
    ticks.abs_diff(started / 10_000_000) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pid: u32, started: u64, name: &[u8]) -> SocketOwner {
        let mut command = [0; 16];
        command[..name.len()].copy_from_slice(name);
        SocketOwner { pid, started, command, user_id: 3, ..SocketOwner::default() }
    }

    fn processes() -> Processes {
        Processes::new(2, Arguments::UpTo(100))
    }

    #[test]
    fn one_that_is_gone_keeps_its_name() {
        let gone = owner(u32::MAX, 1, b"curl");
        let found = processes().of(&gone);
        assert_eq!((found.pid, found.user_id, found.command.as_str()), (u32::MAX, 3, "curl"));
        assert_eq!((&found.executable, &found.arguments), (&None, &None));
    }

    #[test]
    fn one_that_has_taken_its_number_is_not_it() {
        let found = processes().of(&owner(std::process::id(), 1, b"someone"));
        assert_eq!((found.command.as_str(), &found.executable), ("someone", &None));
    }

    #[test]
    fn this_one_is_found_in_proc() {
        let pid = std::process::id();
        let here = process::read(Path::new("/proc"), pid, Arguments::Hidden).expect("it runs");
        let found = processes().of(&owner(pid, here.start_ticks * 10_000_000, b"test"));
        assert_eq!(found.executable, here.executable);
        assert!(found.arguments.is_some());
    }

    /// It runs for real, and ends before anybody asks.
    #[test]
    fn root_one_that_is_gone_keeps_its_program() {
        let mut processes = processes();
        processes.attach().expect("the kernel takes it");
        let mut child = std::process::Command::new("true").arg("--token=abc").spawn().expect("it starts");
        child.wait().expect("it ends");
        let mut gone = None;
        processes.hear(|id| gone = gone.or((id.pid == child.id()).then_some(id))).expect("it is told");
        let Id { pid, started, program } = gone.expect("its end was told");
        let found = processes.of(&SocketOwner { program, ..owner(pid, started, b"true") });
        assert!(found.executable.as_deref().is_some_and(|path| path.ends_with("/true")), "{found:?}");
        assert_eq!(found.arguments.as_deref(), Some("true --token=***"));
    }

    #[test]
    fn the_kernels_threads_are_the_kernel() {
        let thread = SocketOwner { is_kernel: 1, ..owner(2, 1, b"kworker/0:1") };
        assert_eq!(processes().of(&thread).command, "kernel");
    }

    #[test]
    fn a_new_program_in_the_same_process_is_seen_and_memory_is_bounded() {
        let mut processes = processes();
        let first = processes.of(&owner(u32::MAX, 1, b"sh"));
        assert!(Arc::ptr_eq(&first, &processes.of(&owner(u32::MAX, 1, b"sh"))));
        assert_eq!(processes.of(&owner(u32::MAX, 1, b"curl")).command, "curl");
        drop(first);
        for started in 2..100 {
            processes.of(&owner(u32::MAX, started, b"sh"));
        }
        assert!(processes.len() <= 2, "{}", processes.len());
    }

    #[test]
    fn those_that_sockets_name_stay_and_are_not_looked_through_each_time() {
        let mut processes = processes();
        let held: Vec<_> = (1..100).map(|started| processes.of(&owner(u32::MAX, started, b"sh"))).collect();
        assert_eq!(processes.len(), held.len());
        assert!(processes.sweep_at > held.len());
        drop(held);
        (100..300).for_each(|started| drop(processes.of(&owner(u32::MAX, started, b"sh"))));
        assert!(processes.len() < 200, "{}", processes.len());
    }

    #[test]
    fn another_program_or_group_is_looked_at_anew() {
        let mut processes = processes();
        let first = owner(u32::MAX, 1, b"sh");
        let old = processes.of(&first);
        for changed in [SocketOwner { program: 1, ..first }, SocketOwner { cgroup: 1, ..first }] {
            assert!(!Arc::ptr_eq(&old, &processes.of(&changed)));
        }
    }

    #[test]
    fn no_name_makes_it_panic() {
        let hostile = [0xff, 0x1b, b'[', b'2', b'J', b'\n', 0x80, 0xc3, 1, 2, 3, 4, 5, 6, 7, 8];
        let found =
            processes().of(&SocketOwner { command: hostile, pid: u32::MAX, ..SocketOwner::default() });
        assert!(found.command.starts_with("\u{fffd}\\u{1b}[2J\\n"), "{}", found.command);
    }
}
