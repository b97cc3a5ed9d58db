//! Who talks: a process, as it was while the flow lived.

/// The process that used a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number, as the host counts; 0 for the kernel itself.
    pub pid: u32,
    /// Whose child it was when it was heard of.
    pub parent_pid: Option<u32>,
    /// When it began, in nanoseconds since the Unix epoch.
    pub started: Option<u64>,
    /// Its user's.
    pub user_id: u32,
    /// Its name (comm), at most fifteen bytes; `kernel` for the kernel's own threads.
    pub command: String,
    /// The file it runs.
    pub executable: Option<String>,
    /// Its command line, secrets masked, cut to a length.
    pub arguments: Option<String>,
    /// The path of its control group.
    pub cgroup: Option<String>,
    /// The systemd unit that it belongs to.
    pub unit: Option<String>,
    /// The container that it is in.
    pub container: Option<Container>,
    /// The uid of the Kubernetes pod that it is in.
    pub pod_uid: Option<String>,
}

/// A container, as its control group names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id; for LXC and machines of systemd, which have none, its name.
    pub id: String,
    /// What runs it.
    pub runtime: Runtime,
}

impl Container {
    /// Its id as runtimes themselves shorten it.
    pub fn short_id(&self) -> String {
        self.id.chars().take(12).collect()
    }
}

/// What runs a container, as far as the path tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// containerd, for Kubernetes or nerdctl.
    Containerd,
    /// CRI-O.
    CriO,
    /// LXC, LXD, Incus, Proxmox.
    Lxc,
    /// The path does not say.
    #[default]
    Unknown,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Docker, Self::Podman, Self::Containerd, Self::CriO, Self::Lxc, Self::Unknown];

    /// Its name, as it writes it itself.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Lxc => "lxc",
            Self::Unknown => "unknown",
        }
    }
}
