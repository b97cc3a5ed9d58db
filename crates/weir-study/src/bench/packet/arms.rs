//! The programs that are measured.

use crate::arms::{Clock, LOOPBACK, cpus, harness, hash_per_cpu, hashes, mix, postcards, watch};
use crate::results::EMPTY;
use anyhow::Result;
use libbpf_rs::{MapHandle, ProgramMut};
use std::rc::Rc;
use weir_kernel::Loaded;
use weir_probes::dns::{self, Dns, Ports};
use weir_probes::flows::{Demand, Flows, Layout, Tables};

/// The arm that ratios are taken to: what the targets call the plain hash.
pub const REFERENCE: &str = "per-CPU hash, fine clock";
/// The shipped program.
pub const WEIR: &str = "weir";

/// Ports that no packet of the traffic has.
const OTHER_PORTS: [u16; 2] = [5353, 5355];

/// What programs come in.
enum Object {
    Ours(Loaded),
    Shipped(Box<Flows>),
    Dns(Dns),
}

impl Object {
    fn loaded(&self) -> &Loaded {
        match self {
            Self::Ours(loaded) => loaded,
            Self::Shipped(flows) => flows.loaded(),
            Self::Dns(dns) => dns.loaded(),
        }
    }
}

/// One program in an object.
pub struct Arm {
    /// As the reader of the report knows it.
    pub name: &'static str,
    object: Rc<Object>,
    program: &'static str,
}

impl Arm {
    /// To aim the driver at.
    pub fn program(&self) -> Result<ProgramMut<'_>> {
        Ok(self.object.loaded().program(self.program)?)
    }
}

/// All of them, loaded.
pub struct Arms {
    harness: Rc<Object>,
    postcards: Rc<Object>,
    arms: Vec<Arm>,
}

impl Arms {
    /// Has the kernel take every program.
    pub fn load() -> Result<Self> {
        let ours = |loaded| Rc::new(Object::Ours(loaded));
        let harness = ours(harness()?);
        let postcards = ours(postcards("ringbuf")?);
        let by_cpu = |clock| anyhow::Ok(ours(hashes("percpu_hash", "by_cpu", clock)?));
        let lru = ours(hashes("lru_percpu_hash", "lru_by_cpu", Clock::Coarse)?);
        let shared = ours(hashes("hash", "shared", Clock::Coarse)?);
        let dns = Rc::new(Object::Dns(Dns::load(&OTHER_PORTS)?));
        let arm = |name, object: &Rc<Object>, program| Arm { name, object: Rc::clone(object), program };
        let arms = vec![
            arm(EMPTY, &harness, EMPTY),
            arm("parse only, no clock", &harness, "parse_only"),
            arm(REFERENCE, &by_cpu(Clock::Fine)?, "percpu_hash"),
            arm("per-CPU hash, coarse clock", &by_cpu(Clock::Coarse)?, "percpu_hash"),
            arm("per-CPU hash, jiffies", &by_cpu(Clock::Jiffies)?, "percpu_hash"),
            arm("LRU per-CPU hash, coarse clock", &lru, "lru_percpu_hash"),
            arm(
                "one plain hash per CPU, coarse clock",
                &ours(hash_per_cpu(Clock::Coarse)?.0),
                "hash_per_cpu",
            ),
            arm("shared hash, atomics, coarse clock", &shared, "hash"),
            arm("postcards, jiffies", &postcards, "ringbuf"),
            arm("mix, 256 slots, coarse clock", &ours(mix(256, Clock::Coarse)?), "mix"),
            arm("mix, 4 096 slots, coarse clock", &ours(mix(4_096, Clock::Coarse)?), "mix"),
            arm("mix, 4 096 slots, jiffies", &ours(mix(4_096, Clock::Jiffies)?), "mix"),
            arm("mix, 65 536 slots, jiffies", &ours(mix(65_536, Clock::Jiffies)?), "mix"),
            arm(WEIR, &shipped(|_| ())?, "weir_ingress"),
            arm(
                "weir, tables by key, as before Linux 6.12",
                &shipped(|demand| demand.tables = Tables::ByKey)?,
                "weir_ingress",
            ),
            arm("weir --all-netns", &shipped(|demand| demand.every_netns = true)?, "weir_ingress"),
            arm(
                "weir --dns on, packets of other ports",
                &shipped(|demand| demand.dns_ports = Ports::of(&OTHER_PORTS))?,
                "weir_ingress",
            ),
            arm("weir's DNS probe by itself, packets of other ports", &dns, dns::PROGRAMS[0]),
            arm("weir --decapsulate", &shipped(|demand| demand.decapsulate = true)?, "weir_ingress"),
        ];
        Ok(Self { harness, postcards, arms })
    }

    /// In the order in which they are reported.
    pub fn iter(&self) -> std::slice::Iter<'_, Arm> {
        self.arms.iter()
    }

    /// The object with the driver.
    pub fn harness(&self) -> &Loaded {
        self.harness.loaded()
    }

    /// Where the postcards arrive.
    pub fn postcards_ring(&self) -> Result<MapHandle> {
        Ok(MapHandle::try_from(&self.postcards.loaded().find_map("ring")?)?)
    }

    /// For how many postcards there was no room.
    pub fn postcards_lost(&self) -> Result<u64> {
        Ok(self.postcards.loaded().global_value("lost")?)
    }
}

/// As the agent loads it, with as much room per CPU as a host with two of them gets by default.
fn shipped(change: impl FnOnce(&mut Demand)) -> Result<Rc<Object>> {
    let mut demand = Demand::one_interface(u64::from(cpus()?) * (32 << 20), cpus()?);
    change(&mut demand);
    let mut flows = Flows::load(Layout::new(demand)?)?;
    watch(&mut flows, LOOPBACK)?;
    Ok(Rc::new(Object::Shipped(Box::new(flows))))
}
