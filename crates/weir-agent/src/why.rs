//! TCP's sockets, looked at twice, and what ended in between: for who asks what limits them. Without an agent.

use crate::agent::require_privileges;
use crate::identity::Holders;
use crate::interfaces::{Inventory, Namespace};
use crate::tcp::{ends, failure, health, look_into};
use crate::{Result, Settings};
use hashbrown::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use weir_kernel::{TCP_LOOKED, TCP_REFUSED, TcpLook, clock};
use weir_probes::flows::own_netns;
use weir_probes::holders;
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
        let first: HashMap<_, _> = look(&probe, &inventory).map(|(_, one)| (key(&one), one)).collect();
        wait();
        let mut ended = Vec::new();
        probe.consume(AT_A_TIME, |one| ended.push(*one))?;
        let names = Names::of(&inventory);
        let (mut who, mut remarks) = Who::open(settings);
        let mut sockets: Vec<_> = look(&probe, &inventory)
            .map(|(netns, last)| names.socket(netns, last, first.get(&key(&last)), tick))
            .collect();
        who.enter(&mut sockets);
        let failed = ended.iter().filter_map(|last| {
            let failure = failure(last)?;
            let socket = names.socket(names.id(last), *last, None, tick);
            let is_refusal = u32::from(last.change) == TCP_REFUSED;
            // What nobody has asked to look into.
            names.is_known(last).then_some(Failed { socket, failure, is_refusal })
        });
        let failed = failed.collect();
        let addresses = inventory.links().flat_map(|link| link.addresses.iter().copied()).collect();
        remarks.dedup();
        Ok(Self { sockets, failed, addresses, tick, remarks })
    }
}

/// Those of every namespace; one that cannot be entered any more is gone.
fn look<'a>(probe: &'a Tcp, inventory: &'a Inventory) -> impl Iterator<Item = (u32, TcpLook)> + 'a {
    let into = move |namespace: &Namespace| {
        let id = namespace.id();
        look_into(probe, namespace).unwrap_or_default().into_iter().map(move |one| (id, one))
    };
    inventory.namespaces().flat_map(move |(namespace, _)| into(namespace))
}

/// A socket's number may be used again: by one with other ends, most likely.
fn key(look: &TcpLook) -> (u64, [u64; 2], u16, u16) {
    (look.socket, look.remote, look.local_port, look.remote_port)
}

/// What namespaces are called.
struct Names {
    own: u32,
    names: HashMap<u32, Arc<str>>,
}

impl Names {
    fn of(inventory: &Inventory) -> Self {
        let names = inventory.namespaces().map(|(one, _)| (one.id(), Arc::clone(one.name())));
        Self { own: own_netns(), names: names.collect() }
    }

    /// 0 for the own one.
    fn id(&self, look: &TcpLook) -> u32 {
        if look.netns == self.own { 0 } else { look.netns }
    }

    fn is_known(&self, look: &TcpLook) -> bool {
        self.names.contains_key(&self.id(look))
    }

    fn socket(&self, netns: u32, last: TcpLook, first: Option<&TcpLook>, tick: Duration) -> WatchedSocket {
        let name = self.names.get(&netns).map_or_else(|| netns.to_string().into(), Arc::clone);
        let ends = ends(&last);
        WatchedSocket {
            netns: (name, netns == 0),
            local: ends.local.into(),
            remote: ends.remote.into(),
            first: first.filter(|first| u32::from(first.change) == TCP_LOOKED).copied(),
            last,
            health: health(&last, tick),
            holders: Vec::new(),
        }
    }
}

/// The processes that have sockets open.
struct Who {
    holders: Holders,
    all: Vec<weir_kernel::SocketHolder>,
}

impl Who {
    fn open(settings: &Settings) -> (Self, Vec<String>) {
        let (holders, mut remarks) = Holders::open(settings);
        let all = holders::now().unwrap_or_else(|error| {
            remarks.push(format!("processes stay unknown: {error}"));
            Vec::new()
        });
        (Self { holders, all }, remarks)
    }

    fn enter(&mut self, sockets: &mut [WatchedSocket]) {
        let open = |socket: &&mut WatchedSocket| socket.last.inode != 0;
        let mut wanted: HashMap<_, _> = sockets
            .iter_mut()
            .filter(open)
            .map(|socket| (u64::from(socket.last.inode), &mut socket.holders))
            .collect();
        let mut found = Vec::new();
        for holder in self.all.iter().filter(|holder| wanted.contains_key(&holder.inode)) {
            found.push((holder.inode, self.holders.of(&holder.owner)));
        }
        self.holders.settle(PATIENCE);
        found.sort_by_key(|(_, process)| (process.started, process.pid));
        for (inode, process) in found {
            let end = self.holders.end(&process);
            let Some(held) = wanted.get_mut(&inode) else { continue };
            // It may have it open several times.
            if !held.contains(&end) {
                held.push(end);
            }
        }
    }
}
