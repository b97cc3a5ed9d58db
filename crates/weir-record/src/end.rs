//! Who is at an end of a conversation.

use crate::{ContainerDetails, Name, Place, Process, TcpHealth, Workload};
use std::sync::Arc;

/// What is known of one end beyond its address and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// Who used the socket there, of the processes of this host.
    pub process: Option<Arc<Process>>,
    /// What the address is called.
    pub name: Option<Arc<Name>>,
    /// What the user calls the network that it is in.
    pub label: Option<Arc<str>>,
    /// Where it is.
    pub place: Option<Arc<Place>>,
    /// What it is to Kubernetes.
    pub workload: Option<Arc<Workload>>,
    /// The container it is in, as its runtime knows it.
    pub container: Option<Arc<ContainerDetails>>,
    /// What TCP keeps of the connection there.
    pub tcp: Option<Arc<TcpHealth>>,
    /// From where the connection is forwarded to this end and back, microseconds, as its handshake took.
    pub handshake_rtt: Option<u64>,
}

impl End {
    /// Where in memory lies what is known of who is there: ends of which it is the same places are the same in all
    /// fields of [`SOURCE_END`](crate::SOURCE_END) and its counterpart. All 0 where nothing is known.
    pub fn places(&self) -> [usize; 6] {
        fn place<T: ?Sized>(shared: &Option<Arc<T>>) -> usize {
            shared.as_ref().map_or(0, |shared| Arc::as_ptr(shared).addr())
        }
        let Self { process, name, label, place: of, workload, container, tcp: _, handshake_rtt: _ } = self;
        [place(process), place(name), place(label), place(of), place(workload), place(container)]
    }

    /// What its container is called: its name, else the beginning of its id.
    pub fn container_name(&self) -> Option<String> {
        let container = self.process.as_ref()?.container.as_ref()?;
        let name = self.container.as_ref().and_then(|details| details.name.clone());
        Some(name.unwrap_or_else(|| container.short_id()))
    }
}
