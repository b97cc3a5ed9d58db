//! The network: built in one go, taken down when dropped, also after an error, a signal or a panic.

use super::ip;
use super::stage::{CLIENT_2, HOSTS, Host, NAMESPACES, PAGES, Stage};
use anyhow::{Context, Result};
use std::fs;

/// The switch that all but one hang on, and the one beyond the lossy line.
pub const SWITCHES: [&str; 2] = ["switch", "switch-2"];
/// The lossy line's two ends, at the first and at the second switch.
pub const LINE: [&str; 2] = ["line-near", "line-far"];

/// A network of namespaces.
pub struct Network {
    stage: Stage,
}

impl Network {
    /// Two switches in the router's namespace, joined by a line, and a host on each of their ports.
    ///
    /// # Errors
    /// `ip` is missing or refuses; what was built is gone again.
    pub fn build(stage: Stage) -> Result<Self> {
        let network = Self { stage };
        network.build_all().context("cannot build the demo's network")?;
        Ok(network)
    }

    fn build_all(&self) -> Result<()> {
        let names: Vec<_> = self.stage.namespaces().map(|name| format!("netns add {name}")).collect();
        ip::batch(None, &names)?;
        ip::batch(Some(&self.stage.router()), &self.router())?;
        for host in &HOSTS {
            ip::batch(Some(&self.stage.namespace(host.name)), &inside(host))?;
        }
        let directory = self.stage.directory().join("pages");
        fs::create_dir_all(&directory)?;
        for (page, length) in PAGES {
            fs::write(directory.join(page), "Weir. ".repeat(length / 6))?;
        }
        Ok(())
    }

    /// Nothing speaks on its own: no IPv6 link-local addresses, no multicast snooping.
    fn router(&self) -> Vec<String> {
        let [near, far] = LINE;
        let mut lines: Vec<_> = SWITCHES
            .iter()
            .map(|switch| format!("link add {switch} type bridge mcast_snooping 0 stp_state 0"))
            .collect();
        lines.push(format!("link add {near} type veth peer name {far}"));
        let mut ports = vec![(near, SWITCHES[0]), (far, SWITCHES[1])];
        for host in &HOSTS {
            let namespace = self.stage.namespace(host.name);
            lines.push(format!("link add {} type veth peer name eth0 netns {namespace}", host.name));
            ports.push((host.name, SWITCHES[usize::from(*host == CLIENT_2)]));
        }
        for (port, switch) in ports {
            lines.push(format!("link set {port} master {switch}"));
            lines.extend(up(port));
        }
        lines.extend(SWITCHES.into_iter().flat_map(up));
        lines
    }

    /// Cuts every host off from its switch: from now on nothing new is on the wire.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn cut_off_hosts(&self) -> Result<()> {
        let lines: Vec<_> = HOSTS.iter().map(|host| format!("link set {} down", host.name)).collect();
        ip::batch(Some(&self.stage.router()), &lines)
    }
}

/// In this order: an interface that is up has its link-local address, and has said so.
fn up(interface: &str) -> [String; 2] {
    [format!("link set {interface} addrgenmode none"), format!("link set {interface} up")]
}

/// One packet, one buffer: `ip -s link`, `tc -s qdisc` and Weir count the same without any arithmetic.
fn inside(host: &Host) -> Vec<String> {
    let mut lines = vec!["link set lo up".into(), "link set eth0 gso_max_segs 1".into()];
    lines.extend(up("eth0"));
    lines.push(format!("address add {}/24 dev eth0", host.address));
    lines
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(self.stage);
    }
}

/// Removes all that a demo has made, whether all of it is there or not.
fn remove(stage: Stage) {
    let is_there = |name: &String| fs::exists(format!("{NAMESPACES}/{name}")).unwrap_or(true);
    let lines: Vec<_> = stage.namespaces().filter(is_there).map(|name| format!("netns del {name}")).collect();
    ip::batch_on(&lines);
    let _ = fs::remove_dir_all(stage.directory());
}

/// Removes what killed demos left behind, and says how many there were.
pub fn sweep() -> usize {
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let mut stages: Vec<_> = names(NAMESPACES)
        .into_iter()
        .chain(names("/run"))
        .filter_map(|name| Stage::of(&name))
        .filter(|stage| !stage.is_alive())
        .collect();
    stages.sort_by_key(|stage| stage.pid);
    stages.dedup();
    stages.iter().for_each(|stage| remove(*stage));
    stages.len()
}
