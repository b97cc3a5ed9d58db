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
    /// From where the connection is forwarded to this end and back, nanoseconds, as its handshake took.
    pub handshake_rtt: Option<u64>,
}

impl End {
    /// What its container is called: its name, else the beginning of its id.
    pub fn container_name(&self) -> Option<String> {
        let container = self.process.as_ref()?.container.as_ref()?;
        let name = self.container.as_ref().and_then(|details| details.name.clone());
        Some(name.unwrap_or_else(|| container.short_id()))
    }
}
