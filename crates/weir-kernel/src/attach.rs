//! Attaching TC programs: TCX links where the kernel has them (6.6), clsact filters below.

use crate::error::from_libbpf;
use crate::{Error, Loaded, Result};
use libbpf_rs::{TcHook, TcHookBuilder};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

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

/// A clsact filter of ours.
#[derive(Debug)]
pub struct Filter(TcHook);

impl Drop for Filter {
    fn drop(&mut self) {
        // An interface that is gone has taken its filters with it.
        let _ = self.0.detach();
    }
}

/// What our clsact filters are found by again: "wei" and a number, so that agents can stand side by side.
const HANDLE: u32 = 0x7765_6900;
const HANDLES: u32 = 8;
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

/// Attaches `program` of `loaded` to the interface `ifindex`.
///
/// # Errors
/// The interface is gone (ENODEV), CAP_NET_ADMIN is missing (EPERM), or the kernel has no such hook.
pub fn attach(
    loaded: &Loaded,
    program: &str,
    ifindex: u32,
    direction: Direction,
    (hook, position): (Hook, Position),
) -> Result<Attachment> {
    match hook {
        Hook::Tcx => attach_tcx(loaded, program, ifindex, direction, position).map(Attachment::Tcx),
        Hook::Clsact => attach_clsact(loaded, program, ifindex, direction, position).map(Attachment::Clsact),
    }
}

fn attach_tcx(
    loaded: &Loaded,
    program: &str,
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
    let program_fd = loaded.program(program)?.as_fd().as_raw_fd();
    // SAFETY: `options` says its own size and outlives the call.
    let fd = unsafe { libbpf_sys::bpf_link_create(program_fd, ifindex as i32, kind, &options) };
    if fd < 0 {
        return Err(Error::kernel("TCX link refused", std::io::Error::from_raw_os_error(-fd)));
    }
    // SAFETY: a fresh descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attach_clsact(
    loaded: &Loaded,
    program: &str,
    ifindex: u32,
    direction: Direction,
    position: Position,
) -> Result<Filter> {
    let found = loaded.program(program)?;
    let mut hook = hook_on(found.as_fd(), ifindex, direction, position);
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
            outcome => return outcome.map(Filter),
        }
    }
    Err(Error::Unexpected(format!("{HANDLES} agents have clsact filters there already")))
}

/// Takes off the clsact filters of ours on `ifindex` that a killed process left behind. Their number.
///
/// # Errors
/// There is no such program in `loaded`.
pub fn sweep(loaded: &Loaded, program: &str, ifindex: u32, direction: Direction) -> Result<u32> {
    let found = loaded.program(program)?;
    // In turns: between another sweeper's look and its removal, a filter must not become somebody's.
    // A lock on the network namespace is seen wherever an agent runs, whatever it has mounted.
    let namespace = std::fs::File::open("/proc/thread-self/ns/net");
    let _turn = namespace.and_then(|file| file.lock().map(|()| file));
    let mut swept = 0;
    for position in [Position::Head, Position::Tail] {
        for handle in HANDLE..HANDLE + HANDLES {
            let mut hook = hook_on(found.as_fd(), ifindex, direction, position);
            hook.handle(handle);
            if hook.query().is_ok_and(is_left_behind) {
                swept += u32::from(hook.detach().is_ok());
            }
        }
    }
    Ok(swept)
}

fn hook_on(
    program: std::os::fd::BorrowedFd<'_>,
    ifindex: u32,
    direction: Direction,
    position: Position,
) -> TcHook {
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
