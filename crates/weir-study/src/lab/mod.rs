//! Where a study takes place: two network namespaces of its own and a veth pair between them, or a real link.

mod line;
mod remote;
mod sink;

pub use line::Line;
pub use sink::sink;

use crate::namespace::{self, Door, Namespace};
use crate::traffic::Ends;
use anyhow::{Context, Result};
use nix::net::if_::if_nametoindex;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the namespaces' names begin with.
const NAME: &str = "weir-study";
/// The device at either end.
const DEVICE: &str = "study0";

/// Both ends.
pub enum Lab {
    /// Packets are sent at the near end, and observed at the far one.
    Veth(Veth),
    /// Packets are sent and observed here; somebody else counts them at the far end.
    Link(Link),
}

/// A veth pair.
pub struct Veth {
    near: Namespace,
    far: Namespace,
    near_index: u32,
    far_index: u32,
    ends: Ends,
}

/// A real link.
pub struct Link {
    interface: String,
    index: u32,
    to: IpAddr,
}

impl Lab {
    /// Sets up a veth pair.
    ///
    /// # Errors
    /// A privilege or ip(8) is missing.
    pub fn veth() -> Result<Self> {
        namespace::sweep(NAME);
        let ends = Ends {
            macs: [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]],
            ipv4: [Ipv4Addr::new(172, 31, 255, 1), Ipv4Addr::new(172, 31, 255, 2)],
            ipv6: [1, 2].map(|end| Ipv6Addr::new(0xfd31, 0, 0, 0, 0, 0, 0, end)),
        };
        let (near, far) = (Namespace::new(NAME, "near")?, Namespace::new(NAME, "far")?);
        let [mac, peer_mac] = ends.macs.map(text_of);
        near.ip(&format!(
            "link add {DEVICE} address {mac} type veth peer name {DEVICE} address {peer_mac} netns {}",
            far.name()
        ))?;
        set_up_near(&near, &ends)?;
        set_up_far(&far)?;
        let index = || if_nametoindex(DEVICE).context("the veth pair is gone");
        let (near_index, far_index) = (near.inside(index)?, far.inside(index)?);
        Ok(Self::Veth(Veth { near, far, near_index, far_index, ends }))
    }

    /// Takes a real link: packets leave through `interface` for `to`, where a sink listens.
    ///
    /// # Errors
    /// There is no such interface, or no sink.
    pub fn link(interface: &str, to: IpAddr) -> Result<Self> {
        let index = if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?;
        remote::Remote::new(to)?;
        Ok(Self::Link(Link { interface: interface.into(), index, to }))
    }

    /// Does `work` where packets are observed.
    pub fn inside<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match self {
            Self::Veth(veth) => veth.far.inside(work),
            Self::Link(_) => work(),
        }
    }

    /// The number of the device that is observed, there.
    pub fn index(&self) -> u32 {
        match self {
            Self::Veth(veth) => veth.far_index,
            Self::Link(link) => link.index,
        }
    }

    /// Where other programs are run, and the device that they watch; nothing on a real link, whose own traffic they
    /// would count, too.
    pub fn stage(&self) -> Option<(&Namespace, &'static str)> {
        match self {
            Self::Veth(veth) => Some((&veth.far, DEVICE)),
            Self::Link(_) => None,
        }
    }

    /// `veth`, or the name of the interface.
    pub fn name(&self) -> &str {
        match self {
            Self::Veth(_) => "veth",
            Self::Link(link) => &link.interface,
        }
    }
}

impl Veth {
    /// The ways to both ends.
    fn doors(&self) -> (Door, Door) {
        (self.near.door(), self.far.door())
    }
}

/// Knows where the far end is without asking. Nothing but the study's packets is to be seen on the wire: a device
/// without ARP sends no group reports and solicits no neighbours either.
fn set_up_near(near: &Namespace, ends: &Ends) -> Result<()> {
    write_setting(near, "disable_ipv6", "0")?;
    write_setting(near, "addr_gen_mode", "1")?;
    near.ip("link set lo up")?;
    near.ip(&format!("link set {DEVICE} arp off up"))?;
    let mac = text_of(ends.macs[1]);
    near.ip(&format!("address add {}/30 dev {DEVICE}", ends.ipv4[0]))?;
    near.ip(&format!("neighbour add {} lladdr {mac} nud permanent dev {DEVICE}", ends.ipv4[1]))?;
    if has_ipv6() {
        near.ip(&format!("address add {}/64 dev {DEVICE} nodad", ends.ipv6[0]))?;
        near.ip(&format!("neighbour add {} lladdr {mac} nud permanent dev {DEVICE}", ends.ipv6[1]))?;
    }
    Ok(())
}

/// Needs no addresses: the sink takes packets off the way before anybody asks whom they are for.
fn set_up_far(far: &Namespace) -> Result<()> {
    write_setting(far, "disable_ipv6", "1")?;
    far.ip("link set lo up")?;
    far.ip(&format!("link set {DEVICE} up"))
}

/// Of IPv6 on our device, where the host has IPv6.
fn write_setting(namespace: &Namespace, name: &str, value: &str) -> Result<()> {
    if !has_ipv6() {
        return Ok(());
    }
    let path = format!("/proc/sys/net/ipv6/conf/{DEVICE}/{name}");
    namespace.inside(|| fs::write(&path, value).with_context(|| format!("cannot write {path}")))
}

fn has_ipv6() -> bool {
    fs::exists("/proc/sys/net/ipv6").unwrap_or(false)
}

fn text_of(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
