//! TCP's sockets, looked at twice, and what ended in between: for who asks what limits them. Without an agent.

use crate::agent::require_privileges;
use crate::identity::holders_of;
use crate::interfaces::{Inventory, Names};
use crate::tcp::{ends, failure, health, look_into};
use crate::{Result, Settings};
use hashbrown::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use weir_kernel::{TCP_LOOKED, TCP_REFUSED, TcpLook, clock};
use weir_probes::tcp::Tcp;
use weir_record::{End, TcpFailure, TcpHealth};

/// How long the names of containers are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Ends of connections that are taken in; more than the ring holds.
const AT_A_TIME: usize = 65_536;

/// A socket, or what was one.
#[derive(Debug, Clone)]
pub struct WatchedSocket {
    /// The network namespace: its name in /run/netns, else its inode; and whether that is the own one.
    pub netns: (Arc<str>, bool),
    /// Its own end.
    pub local: SocketAddr,
    /// The other one; port 0 for one that listens.
    pub remote: SocketAddr,
    /// What the kernel said first; none for one that has come since.
    pub first: Option<TcpLook>,
    /// What it said last.
    pub last: TcpLook,
    /// The same in the words of records.
    pub health: TcpHealth,
    /// The processes that have it, the oldest first.
    pub holders: Vec<Arc<End>>,
}

/// A connection that failed meanwhile, or was refused here.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Its end here.
    pub socket: WatchedSocket,
    /// Why.
    pub failure: TcpFailure,
    /// Whether it was refused by this end.
    pub is_refusal: bool,
}

/// All that was seen.
#[derive(Debug)]
pub struct Watched {
    /// Sockets that were there at the end.
    pub sockets: Vec<WatchedSocket>,
    /// What failed.
    pub failed: Vec<Failed>,
    /// Addresses of the namespaces that were looked into.
    pub addresses: HashSet<IpAddr>,
    /// How long a jiffy is.
    pub tick: Duration,
    /// What a user should know.
    pub remarks: Vec<String>,
}

impl Watched {
    /// Looks into the network namespaces that are wanted, has the caller `wait`, and looks again.
    ///
    /// # Errors
    /// A privilege or a kernel feature is missing, or a namespace that was named is not there.
    pub fn take(settings: &Settings, wait: impl FnOnce()) -> Result<Self> {
        require_privileges()?;
        let inventory = Inventory::open(settings.namespaces.clone(), true)?;
        let tick = clock::tick()?;
        let probe = Tcp::attach()?;
        let first: HashMap<_, _> = look(&probe, &inventory).map(|one| (key(&one), one)).collect();
        wait();
        let mut ended = Vec::new();
        probe.consume(AT_A_TIME, |one| ended.push(*one))?;
        let names = Names::of(&inventory);
        let mut sockets: Vec<_> = look(&probe, &inventory)
            .map(|last| watched(&names, last, first.get(&key(&last)), tick))
            .collect();
        let inodes: HashSet<_> = sockets.iter().map(|socket| u64::from(socket.last.inode)).collect();
        let (mut holders, remarks) = holders_of(settings, |inode| inodes.contains(&inode), PATIENCE);
        for socket in &mut sockets {
            socket.holders = holders.remove(&u64::from(socket.last.inode)).unwrap_or_default();
        }
        let failed = ended.iter().filter_map(|last| {
            let failure = failure(last)?;
            let socket = watched(&names, *last, None, tick);
            let is_refusal = u32::from(last.change) == TCP_REFUSED;
            // What nobody has asked to look into.
            names.is_known(last.netns).then_some(Failed { socket, failure, is_refusal })
        });
        let failed = failed.collect();
        let addresses = inventory.links().flat_map(|link| link.addresses.iter().copied()).collect();
        Ok(Self { sockets, failed, addresses, tick, remarks })
    }
}

/// Those of every namespace; one that cannot be entered any more is gone.
fn look<'a>(probe: &'a Tcp, inventory: &'a Inventory) -> impl Iterator<Item = TcpLook> + 'a {
    inventory.namespaces().flat_map(move |(namespace, _)| look_into(probe, namespace).unwrap_or_default())
}

/// A socket's number may be used again: by one with other ends, most likely.
fn key(look: &TcpLook) -> (u64, [u64; 2], u16, u16) {
    (look.socket, look.remote, look.local_port, look.remote_port)
}

fn watched(names: &Names<'_>, last: TcpLook, first: Option<&TcpLook>, tick: Duration) -> WatchedSocket {
    let ends = ends(&last);
    WatchedSocket {
        netns: names.netns(last.netns),
        local: ends.local.into(),
        remote: ends.remote.into(),
        first: first.filter(|first| u32::from(first.change) == TCP_LOOKED).copied(),
        last,
        health: health(&last, tick),
        holders: Vec::new(),
    }
}
