//! Where a study takes place: two network namespaces of its own and a veth pair between them.

mod line;

pub use line::Line;

use crate::namespace::{self, Namespace};
use crate::traffic::Ends;
use anyhow::{Context, Result};
use nix::net::if_::if_nametoindex;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What the namespaces' names begin with.
const NAME: &str = "weir-study";
/// The device at either end.
const DEVICE: &str = "study0";

/// Both ends. Packets are sent at the near one, and observed at the far one.
pub struct Lab {
    near: Namespace,
    far: Namespace,
    near_index: u32,
    far_index: u32,
    ends: Ends,
}

impl Lab {
    /// Sets them up.
    ///
    /// # Errors
    /// A privilege or ip(8) is missing.
    pub fn new() -> Result<Self> {
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
        Ok(Self { near, far, near_index, far_index, ends })
    }

    /// Where packets come from.
    pub fn near(&self) -> &Namespace {
        &self.near
    }

    /// Where packets arrive, and are observed.
    pub fn far(&self) -> &Namespace {
        &self.far
    }

    /// The device that is observed.
    pub fn device(&self) -> &'static str {
        DEVICE
    }

    /// Its number.
    pub fn far_index(&self) -> u32 {
        self.far_index
    }

    /// The number of the device that packets leave through.
    pub fn near_index(&self) -> u32 {
        self.near_index
    }

    /// Addresses of both ends.
    pub fn ends(&self) -> Ends {
        self.ends
    }
}

/// Knows where the far end is without asking. Nothing but the study's packets is to be seen on the wire: a device
/// without ARP sends no group reports and solicits no neighbours either.
fn set_up_near(near: &Namespace, ends: &Ends) -> Result<()> {
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
