//! Names for addresses, from every source that knows one, and where the addresses are.
//!
//! A file for each source. What is slow (files, servers) has threads of its own; records are only looked up in memory.

mod answers;
mod atlas;
mod files;
mod hosts;
mod labels;
mod reverse;

use crate::Result;
use crate::dns::{BY_ITSELF, Dns, DnsState};
use crate::interfaces::Inventory;
use crate::posts::PostPlace;
use answers::Answers;
use atlas::Atlas;
use files::{Content, News, Watched};
use hosts::Hosts;
pub use labels::Label;
use labels::Labels;
use reverse::Reverse;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use weir_dns::{Lookup, Told};
use weir_kernel::Loaded;
use weir_probes::flows::{Flows, InterfaceId};
use weir_record::{FlowRecord, Name, NameOrigin, ProbeAccount, printable_start};

/// Bytes of a name or a label that are kept. Names in DNS are not longer.
const LONGEST: usize = 255;

/// What it means that the probe cannot be had.
const NO_DNS: &str = "DNS is not heard, and names from it stay unknown";
/// Addresses whose names are remembered.
const ADDRESSES: usize = 65_536;

/// Where names and places are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Whether DNS is listened to.
    pub dns: bool,
    /// The ports of its servers.
    pub dns_ports: Vec<u16>,
    /// How long an answer may take.
    pub dns_timeout: Duration,
    /// How its programs hang on interfaces.
    pub dns_place: PostPlace,
    /// The hosts file.
    pub hosts_file: PathBuf,
    /// What networks are called.
    pub labels: Vec<Label>,
    /// Databases of places, the best first.
    pub geoip: Vec<PathBuf>,
    /// Whether servers are asked for names that nobody here has asked for.
    pub reverse_dns: bool,
}

/// What can be said of names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesState {
    /// Whether DNS is listened to.
    pub dns: bool,
    /// What has become of its messages.
    #[serde(flatten)]
    pub messages: DnsState,
    /// Addresses that have a name from there.
    pub dns_addresses: u64,
    /// How many may have one.
    #[serde(default)]
    pub dns_address_capacity: u64,
    /// Addresses that were forgotten while their names held.
    pub evicted_dns_addresses: u64,
    /// Addresses in the hosts file.
    pub hosts: u64,
    /// Networks with a label.
    pub labels: u64,
    /// Databases of places.
    pub databases: u64,
    /// Addresses that servers were asked for, where they are.
    pub reverse_dns_addresses: u64,
    /// Addresses that they were not asked for, since too many waited.
    pub dropped_reverse_dns_questions: u64,
}

/// All sources.
#[derive(Default)]
pub struct Names {
    dns: Option<Dns>,
    answers: Answers,
    hosts: Hosts,
    labels: Labels,
    atlas: Atlas,
    news: Option<Receiver<News>>,
    reverse: Option<Reverse>,
    remarks: Vec<String>,
}

impl Names {
    /// Opens the sources; what cannot be opened is left out, and there is a remark why.
    pub fn open(naming: &Naming) -> Self {
        let (answers, labels) = (Answers::new(ADDRESSES), Labels::new(&naming.labels));
        let mut names = Self { answers, labels, ..Self::default() };
        if naming.dns {
            match Dns::open(naming) {
                Ok(dns) => names.dns = Some(dns),
                Err(error) => names.remarks.push(format!("{NO_DNS}: {error}")),
            }
        }
        let maps = naming.geoip.iter().enumerate().map(|(place, path)| (path, Content::Map(place)));
        let all = [(&naming.hosts_file, Content::Hosts)].into_iter().chain(maps);
        let mut all: Vec<_> = all.map(|(path, content)| Watched::new(path.clone(), content)).collect();
        all.iter_mut().filter_map(Watched::look).for_each(|news| names.take(news));
        match files::watch(all) {
            Ok(news) => names.news = Some(news),
            Err(error) => names.remarks.push(format!("changes of files with names are not seen: {error}")),
        }
        if naming.reverse_dns {
            match Reverse::start(reverse::by_resolver) {
                Ok(reverse) => names.reverse = Some(reverse),
                Err(error) => names.remarks.push(format!("no server is asked for names: {error}")),
            }
        }
        names
    }

    fn take(&mut self, news: News) {
        match news {
            News::Hosts(hosts) => self.hosts = hosts,
            News::Map(place, map) => self.atlas.replace(place, map),
            News::Unreadable(remark) => self.remarks.push(remark),
        }
    }

    /// Hears DNS from the flow probe, if that hands it on.
    pub fn hear_from(&mut self, flows: &mut Flows) {
        let Self { dns: Some(dns), remarks, .. } = self else { return };
        if let Err(error) = dns.hear_from(flows) {
            remarks.push(format!("{BY_ITSELF}: {error}"));
        }
    }

    /// Listens to DNS at the interfaces that are `wanted`, and no longer at others. Whether there is more to do, at once.
    pub fn post(&mut self, inventory: &Inventory, wanted: impl Fn(InterfaceId) -> bool) -> bool {
        let Self { dns: Some(dns), remarks, .. } = self else { return false };
        let more = dns.post(inventory, wanted);
        remarks.extend(dns.remarks());
        more
    }

    /// Looks where DNS is still listened to: an interface that seems to be the same may be another one.
    pub fn look_again(&mut self, inventory: &Inventory) {
        self.dns.iter_mut().for_each(|dns| dns.look_again(inventory));
    }

    /// Takes in what there is to hear; `lookups` gets the questions to DNS whose answers, or the lack of them, are known
    /// by now.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, lookups: &mut dyn FnMut(Lookup)) -> Result<()> {
        while let Some(news) = self.news.as_ref().and_then(|news| news.try_recv().ok()) {
            self.take(news);
        }
        if let Some(reverse) = &mut self.reverse {
            reverse.hear();
        }
        let Self { dns: Some(dns), answers, .. } = self else { return Ok(()) };
        let booted = super::booted()?;
        dns.hear(&mut |told| match told {
            Told::Answer { asked, message, time } => {
                let name = asked.name.to_string();
                for given in message.addresses(&asked.name) {
                    answers.learn(&name, given, booted + time);
                }
            }
            Told::Lookup(lookup) => lookups(lookup),
        })
    }

    /// How full the ring of messages was found since this was last asked for.
    pub fn take_fill(&self) -> f64 {
        self.dns.as_ref().map_or(0.0, Dns::take_fill)
    }

    /// Messages of DNS that did not get through.
    pub fn lost(&self) -> u64 {
        self.dns.as_ref().map_or(0, Dns::lost)
    }

    /// What there is to be said since the last time.
    pub fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Calls networks otherwise from now on.
    pub fn relabel(&mut self, labels: &[Label]) {
        self.labels = Labels::new(labels);
    }

    /// Forgets names that do not hold any more.
    pub fn expire(&mut self) {
        self.answers.expire(super::unix_now());
    }

    /// Enters what the addresses at both ends are called, and where they are. `in_cluster` is what Kubernetes calls an
    /// address within a time.
    pub fn attribute(
        &self,
        record: &mut FlowRecord,
        in_cluster: impl Fn(IpAddr, (u64, u64)) -> Option<String>,
    ) {
        let Some((source, destination)) = record.key.addresses() else { return };
        let time = (record.start, record.end);
        for (end, address) in [(&mut record.source, source), (&mut record.destination, destination)] {
            end.name = self.name(address, time, &in_cluster);
            end.label = self.labels.of(address).cloned();
            end.place = self.atlas.of(address);
        }
    }

    /// The name of an address: what was asked for tells most; the cluster knows whose it was then; what this host has
    /// been told by hand knows no time; who is asked last is paid for with a question.
    fn name(
        &self,
        address: IpAddr,
        (start, end): (u64, u64),
        in_cluster: impl Fn(IpAddr, (u64, u64)) -> Option<String>,
    ) -> Option<Arc<Name>> {
        let asked_for = || self.answers.of(address, start, end).cloned();
        let by_cluster = || {
            let text = printable_start(&in_cluster(address, (start, end))?, LONGEST);
            Some(Arc::new(Name { text, origin: NameOrigin::Kubernetes }))
        };
        let by_hand = || self.hosts.of(address).cloned();
        let by_server = || self.reverse.as_ref()?.of(address);
        asked_for().or_else(by_cluster).or_else(by_hand).or_else(by_server)
    }

    /// What the probe has told, and what of it was lost.
    pub fn account(&self) -> Option<ProbeAccount> {
        let dns = self.dns.as_ref()?;
        let (events, evicted) = (dns.heard(), dns.evicted() + self.answers.evicted());
        Some(ProbeAccount { probe: "dns", events, lost_events: dns.lost(), evicted })
    }

    /// What can be said of it.
    pub fn state(&self) -> NamesState {
        NamesState {
            dns: self.dns.is_some(),
            messages: self.dns.as_ref().map(Dns::state).unwrap_or_default(),
            dns_addresses: self.answers.len() as u64,
            dns_address_capacity: ADDRESSES as u64,
            evicted_dns_addresses: self.answers.evicted(),
            hosts: self.hosts.len() as u64,
            labels: self.labels.len() as u64,
            databases: self.atlas.len() as u64,
            reverse_dns_addresses: self.reverse.as_ref().map_or(0, Reverse::len) as u64,
            dropped_reverse_dns_questions: self.reverse.as_ref().map_or(0, Reverse::dropped),
        }
    }

    /// The programs of the DNS probe, for their statistics.
    pub fn programs(&self) -> impl Iterator<Item = (&Loaded, &'static str)> {
        self.dns.iter().flat_map(Dns::programs)
    }
}
