//! Who talks: a process, as it was while the flow lived.

/// The process that used a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number in the agent's PID namespace.
    pub pid: u32,
    /// Its user's.
    pub user_id: u32,
    /// Its name (comm), at most fifteen bytes; `kernel` for the kernel's own threads.
    pub command: String,
    /// The file it runs.
    pub executable: Option<String>,
    /// Its command line, secrets masked, cut to a length.
    pub arguments: Option<String>,
    /// The systemd unit that it belongs to.
    pub unit: Option<String>,
    /// The container that it is in.
    pub container: Option<Container>,
    /// The uid of the Kubernetes pod that it is in.
    pub pod_uid: Option<String>,
}

/// A container, as its control group names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The runtime's name for it.
    pub id: String,
    /// `docker`, `podman`, …; `unknown` where the control group does not tell.
    pub runtime: &'static str,
}
