//! Who is at an end of a conversation.

use crate::{ContainerDetails, Process};
use std::sync::Arc;

/// What is known of one end beyond its address and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// Who used the socket there, of the processes of this host.
    pub process: Option<Arc<Process>>,
    /// The container it is in, as its runtime knows it.
    pub container: Option<Arc<ContainerDetails>>,
}
