//! Who is at an end of a conversation.

use crate::{Process, Workload};
use std::sync::Arc;

/// What is known of one end beyond its address and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// Who used the socket there, of the processes of this host.
    pub process: Option<Arc<Process>>,
    /// What it is to Kubernetes.
    pub workload: Option<Arc<Workload>>,
}
