//! The sockets that there are now, and who has them: asked once, without an agent and without a hook.
//!
//! ```text
//! sock_diag, in each network namespace ──► ends, state, inode ─┐
//! files of all processes (an iterator) ──► inode, process ─────┴─► sockets
//! ```

mod fared;
mod message;
mod netlink;
mod state;

use crate::agent::require_privileges;
use crate::identity::holders_of;
use crate::interfaces::{Namespace, find_namespaces};
use crate::{Error, Result, Settings};
pub use fared::Fared;
use hashbrown::{HashMap, HashSet};
use message::Listed;
pub use netlink::owner;
pub use state::SocketState;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use weir_record::End;

/// How long the names of containers are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket.
#[derive(Debug, Clone)]
pub struct Socket {
    /// The network namespace: its name in /run/netns, else its inode.
    pub netns: Arc<str>,
    /// IP protocol.
    pub protocol: u8,
    /// What it is doing.
    pub state: SocketState,
    /// Its own end; the address is unspecified for all of the namespace.
    pub local: SocketAddr,
    /// Whom it is connected to.
    pub remote: Option<SocketAddr>,
    /// The user who made it; none where it is not open any more, or not yet.
    pub user_id: Option<u32>,
    /// The processes that have it open, the oldest first.
    pub holders: Vec<Arc<End>>,
    /// How a connection of TCP has fared.
    pub fared: Option<Fared>,
}

/// All of them.
#[derive(Debug)]
pub struct Snapshot {
    /// In the order of namespaces, protocols, states and ends.
    pub sockets: Vec<Socket>,
    /// How many network namespaces they are of.
    pub namespaces: usize,
    /// What a user should know: what could not be asked.
    pub remarks: Vec<String>,
}

impl Snapshot {
    /// Takes it, of the network namespaces that are wanted.
    ///
    /// # Errors
    /// A privilege or a kernel feature is missing, or a namespace that was named is not there.
    pub fn take(settings: &Settings) -> Result<Self> {
        require_privileges()?;
        let namespaces = find_namespaces(settings.namespaces.clone())?;
        let (listed, mut remarks) = list(&namespaces)?;
        let inodes: HashSet<_> = listed.iter().filter_map(|(_, one)| Some(u64::from(one.file?.0))).collect();
        let (mut holders, said) = holders_of(settings, |inode| inodes.contains(&inode), PATIENCE);
        remarks.extend(said);
        let mut sockets: Vec<_> =
            listed.into_iter().map(|(netns, one)| socket(&mut holders, netns, one)).collect();
        sockets.sort_by(|one, other| order(one).cmp(&order(other)));
        Ok(Self { sockets, namespaces: namespaces.len(), remarks })
    }
}

fn order(socket: &Socket) -> impl Ord {
    (Arc::clone(&socket.netns), socket.protocol, socket.state, socket.local, socket.remote)
}

type Found = Vec<(Arc<str>, Listed)>;

/// The sockets of these namespaces. One that goes meanwhile has none.
fn list(namespaces: &[Namespace]) -> Result<(Found, Vec<String>)> {
    let (mut all, mut missing) = (Vec::new(), BTreeSet::new());
    for namespace in namespaces {
        let (listed, lacks) = match namespace.enter(netlink::dump).flatten() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            outcome => outcome.map_err(Error::ListSockets)?,
        };
        all.extend(listed.into_iter().map(|one| (Arc::clone(namespace.name()), one)));
        missing.extend(lacks);
    }
    let remark = |module| format!("some sockets are not shown: the kernel has no {module} (modprobe it)");
    Ok((all, missing.into_iter().map(remark).collect()))
}

fn socket(holders: &mut HashMap<u64, Vec<Arc<End>>>, netns: Arc<str>, listed: Listed) -> Socket {
    let Listed { protocol, state, local, remote, file, fared } = listed;
    let holders = file.and_then(|(inode, _)| holders.remove(&u64::from(inode))).unwrap_or_default();
    Socket { netns, protocol, state, local, remote, user_id: file.map(|(_, user)| user), holders, fared }
}
