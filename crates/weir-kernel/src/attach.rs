//! Attaching TC programs: TCX links where the kernel has them (6.6), clsact filters below.

use crate::error::from_libbpf;
use crate::{Error, Result};
use libbpf_rs::{TcHook, TcHookBuilder};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// Which way a packet crosses the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the wire to the host.
    Ingress,
    /// From the host to the wire.
    Egress,
}

/// Where among the programs of an interface ours runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Before the others: sees what they drop.
    Head,
    /// After the others: sees what they let through.
    Tail,
}

/// How a program is hung on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// TCX link (6.6): ends with the process, whatever ends it.
    Tcx,
    /// clsact filter: is left behind by a process that is killed; the next one removes it.
    Clsact,
}

/// A program on an interface; dropping it takes the program off.
#[derive(Debug)]
pub enum Attachment {
    /// Held by its link's descriptor.
    Tcx(OwnedFd),
    /// Held by the interface.
    Clsact(Filter),
}

impl Attachment {
    /// Whether it still hangs on its interface: one that is gone has let go of it. To be asked
    /// inside the network namespace of the interface.
    pub fn is_attached(&self) -> bool {
        match self {
            // The kernel shows interface 0 for a link whose interface is gone.
            Self::Tcx(link) => std::fs::read_to_string(format!("/proc/self/fdinfo/{}", link.as_raw_fd()))
                .is_ok_and(|info| !info.lines().any(|line| line == "ifindex:\t0")),
            Self::Clsact(filter) => { filter.hook }.query().is_ok(),
        }
    }
}

/// A clsact filter of ours.
#[derive(Debug)]
pub struct Filter {
    hook: TcHook,
    /// Inode of the network namespace that it is in.
    netns: Option<u64>,
}

// SAFETY: plain numbers; the one pointer in it, `bpf_tc_hook.qdisc`, is null.
unsafe impl Send for Filter {}
// SAFETY: likewise, and nothing changes it.
unsafe impl Sync for Filter {}

impl Drop for Filter {
    /// Only inside its network namespace: elsewhere its number is that of another interface.
    fn drop(&mut self) {
        if self.netns == current_netns() {
            // An interface that is gone has taken its filters with it.
            let _ = self.hook.detach();
        }
    }
}

/// Inode of the network namespace that this thread is in.
fn current_netns() -> Option<u64> {
    std::fs::metadata("/proc/thread-self/ns/net").ok().map(|netns| netns.ino())
}

/// What our clsact filters are found by again: "wei" and a number, so that agents can stand side by side.
const HANDLE: u32 = 0x7765_6900;
/// Each agent has one, and a second one where DNS is listened to by filters of its own.
const HANDLES: u32 = 16;
const PRIORITY_HEAD: u32 = 1;
const PRIORITY_TAIL: u32 = 0xff00;

/// Programs whose names begin so are ours.
const NAME_PREFIX: &str = "weir_";

/// Whether a refused TCX link means that the kernel is older than TCX.
///
/// Before 6.6 `BPF_LINK_CREATE` answers EINVAL to an attach type that it does not know.
pub fn is_tcx_missing(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS))
}

/// Attaches `program` to the interface `ifindex` of the network namespace that this thread is in.
///
/// # Errors
/// The interface is gone (ENODEV), CAP_NET_ADMIN is missing (EPERM), or the kernel has no such hook.
pub fn attach(
    program: BorrowedFd<'_>,
    ifindex: u32,
    direction: Direction,
    (hook, position): (Hook, Position),
) -> Result<Attachment> {
    match hook {
        Hook::Tcx => attach_tcx(program, ifindex, direction, position).map(Attachment::Tcx),
        Hook::Clsact => attach_clsact(program, ifindex, direction, position).map(Attachment::Clsact),
    }
}

/// [`attach`], by whichever hook the kernel has.
///
/// # Errors
/// As those of `attach`.
pub fn attach_somehow(
    program: BorrowedFd<'_>,
    ifindex: u32,
    direction: Direction,
    position: Position,
) -> Result<Attachment> {
    let on = |hook| attach(program, ifindex, direction, (hook, position));
    on(Hook::Tcx).or_else(|error| if is_tcx_missing(&error) { on(Hook::Clsact) } else { Err(error) })
}

fn attach_tcx(
    program: BorrowedFd<'_>,
    ifindex: u32,
    direction: Direction,
    position: Position,
) -> Result<OwnedFd> {
    let kind = match direction {
        Direction::Ingress => libbpf_sys::BPF_TCX_INGRESS,
        Direction::Egress => libbpf_sys::BPF_TCX_EGRESS,
    };
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        flags: match position {
            Position::Head => libbpf_sys::BPF_F_BEFORE,
            Position::Tail => libbpf_sys::BPF_F_AFTER,
        },
        ..Default::default()
    };
    // SAFETY: `options` says its own size and outlives the call.
    let fd = unsafe { libbpf_sys::bpf_link_create(program.as_raw_fd(), ifindex as i32, kind, &options) };
    if fd < 0 {
        return Err(Error::kernel("TCX link refused", std::io::Error::from_raw_os_error(-fd)));
    }
    // SAFETY: a fresh descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attach_clsact(
    program: BorrowedFd<'_>,
    ifindex: u32,
    direction: Direction,
    position: Position,
) -> Result<Filter> {
    let netns = current_netns();
    let mut hook = hook_on(program, ifindex, direction, position);
    hook.create().map_err(|e| from_libbpf("clsact qdisc refused", &e))?;
    for handle in HANDLE..HANDLE + HANDLES {
        // Never in another's place: what killed agents left, `sweep` has removed.
        hook.handle(handle).replace(false);
        if hook.query().is_ok() {
            continue;
        }
        match hook.attach().map_err(|e| from_libbpf("clsact filter refused", &e)) {
            // Another agent was faster.
            Err(error) if error.errno() == Some(libc::EEXIST) => {}
            outcome => return outcome.map(|hook| Filter { hook, netns }),
        }
    }
    Err(Error::Unexpected(format!("{HANDLES} clsact filters of agents are there already")))
}

/// Takes off the clsact filters of ours on `ifindex` that a killed process left behind. Their number.
/// `program` is any of ours.
pub fn sweep(program: BorrowedFd<'_>, ifindex: u32, direction: Direction) -> u32 {
    // In turns: between another sweeper's look and its removal, a filter must not become somebody's.
    // A lock on the network namespace is seen wherever an agent runs, whatever it has mounted.
    let namespace = std::fs::File::open("/proc/thread-self/ns/net");
    let _turn = namespace.and_then(|file| file.lock().map(|()| file));
    let mut swept = 0;
    for position in [Position::Head, Position::Tail] {
        for handle in HANDLE..HANDLE + HANDLES {
            let mut hook = hook_on(program, ifindex, direction, position);
            hook.handle(handle);
            if hook.query().is_ok_and(is_left_behind) {
                swept += u32::from(hook.detach().is_ok());
            }
        }
    }
    swept
}

fn hook_on(program: BorrowedFd<'_>, ifindex: u32, direction: Direction, position: Position) -> TcHook {
    let mut builder = TcHookBuilder::new(program);
    builder.ifindex(ifindex as i32).priority(match position {
        Position::Head => PRIORITY_HEAD,
        Position::Tail => PRIORITY_TAIL,
    });
    builder.hook(match direction {
        Direction::Ingress => libbpf_rs::TC_INGRESS,
        Direction::Egress => libbpf_rs::TC_EGRESS,
    })
}

/// A program of ours that no living process holds.
fn is_left_behind(program_id: u32) -> bool {
    let Some(info) = libbpf_rs::query::ProgInfoIter::default().find(|info| info.id == program_id) else {
        return false;
    };
    info.name.to_string_lossy().starts_with(NAME_PREFIX) && !is_held(program_id)
}

/// Whether a process that we can see has the program open: `prog_id` in /proc/PID/fdinfo.
fn is_held(program_id: u32) -> bool {
    let line = format!("prog_id:\t{program_id}");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| std::fs::read_dir(process.path().join("fdinfo")).ok())
        .flat_map(|descriptors| descriptors.flatten())
        .filter_map(|descriptor| std::fs::read_to_string(descriptor.path()).ok())
        .any(|info| info.lines().any(|l| l == line))
}
