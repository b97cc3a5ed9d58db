//! What can stop the agent, as the user reads it: what, where, what to do.

use weir_filter::normal::NotKernel;
use weir_kernel::privilege::{Capability, KERNEL_BTF};
use weir_probes::flows::TooSmall;
use weir_probes::flows::rules::TooMany;

/// Result of the agent.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the agent cannot start, or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process lacks privileges.
    #[error(
        "cannot load the probe: {} missing. Run as root, or: setcap cap_bpf,cap_net_admin,cap_perfmon+ep {binary}",
        list(.missing)
    )]
    Privilege {
        /// What is missing.
        missing: Vec<Capability>,
        /// The path of this program.
        binary: String,
    },
    /// The kernel does not describe its types.
    #[error(
        "the kernel has no type information ({KERNEL_BTF}): it needs CONFIG_DEBUG_INFO_BTF=y (Linux 5.4 and newer)"
    )]
    NoBtf,
    /// A part of the selection, or the whole of it, finds no interface.
    #[error("no interface matches {selection}. There are: {there_are}")]
    NoInterface {
        /// What was asked for.
        selection: String,
        /// What there is.
        there_are: String,
    },
    /// The interfaces cannot be asked for, or their changes cannot be followed.
    #[error("cannot list interfaces: {0}")]
    ListInterfaces(#[source] std::io::Error),
    /// The sockets cannot be asked for.
    #[error("cannot list sockets: {0}")]
    ListSockets(#[source] std::io::Error),
    /// There is no such network namespace.
    #[error(
        "no network namespace and no process is called {word}. There are: {names}; or give the id of a process"
    )]
    NoNamespace {
        /// What was asked for.
        word: String,
        /// Those that have a name.
        names: String,
    },
    /// Other network namespaces cannot be entered.
    #[error("cannot enter network namespaces: {0}. It needs CAP_SYS_ADMIN: run as root")]
    Namespaces(#[source] std::io::Error),
    /// All observation points are taken.
    #[error("cannot watch {interface}: all observation points are taken: raise --memory-budget")]
    NoRoom {
        /// Its name.
        interface: String,
    },
    /// The budget does not hold a single flow.
    #[error("{0}: raise --memory-budget")]
    Budget(#[from] TooSmall),
    /// The probe cannot be hung on an interface.
    #[error("cannot attach to {interface}: {source}. `weir check` says what this kernel allows")]
    Attach {
        /// Its name.
        interface: String,
        /// The kernel's refusal.
        source: weir_kernel::Error,
    },
    /// A rule cannot be decided packet by packet.
    #[error(
        "rule {number}, '{rule}': {source}: rules decide packet by packet; use --filter for what is known of records only"
    )]
    Rule {
        /// Its place among the rules, from 1.
        number: usize,
        /// Its text.
        rule: String,
        /// What it asks for.
        source: NotKernel,
    },
    /// Where points are joined, each must take the same packets.
    #[error("rules that sample need Linux 6.12 where observation points are joined: use --dedup off")]
    JoinedSampling,
    /// The rules do not fit.
    #[error("{0}")]
    Rules(#[from] TooMany),
    /// The kernel refuses anything else.
    #[error("{0}. `weir check` says what this kernel allows")]
    Kernel(#[from] weir_kernel::Error),
    /// The sink's thread cannot be started.
    #[error("cannot start the output thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The control socket's thread cannot be started.
    #[error("cannot start the control thread: {0}")]
    Control(#[source] std::io::Error),
}

fn list(missing: &[Capability]) -> String {
    let names: Vec<_> = missing.iter().map(|capability| capability.name).collect();
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}
