//! What is summed, as families of metrics.

use super::budget::Budget;
use super::labels::{Labels, OTHER};
use super::sums::Sums;
use crate::metrics::families::{self, Families, about, one, packets};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use std::fmt;
use weir_record::Count;

/// One look at it.
#[derive(Debug)]
pub struct Told {
    series: Vec<(families::Labels, Sums)>,
    vanished: Sums,
    most: usize,
    own: usize,
}

/// Who sent what is counted: its word, and its counts.
type Sender = (&'static str, fn(&Sums) -> Count, usize);

const SENDERS: [Sender; 2] =
    [("source", |sums| sums.moved.forth, 0), ("destination", |sums| sums.moved.back, 1)];

impl Told {
    pub(super) fn new(labels: &Labels, budget: &Budget) -> Self {
        let (names, own, other) = (labels.names(), budget.own(), budget.other());
        let labelled = |key: &str| {
            let values = Labels::values(key).map(str::to_owned);
            names.iter().copied().zip(values).collect::<families::Labels>()
        };
        let mut series: Vec<_> = own.iter().map(|(key, sums)| (labelled(key), *sums)).collect();
        if other != Sums::default() {
            let others: families::Labels = names.iter().map(|name| (*name, OTHER.to_owned())).collect();
            series.push((others, other));
        }
        Self { series, vanished: budget.vanished(), most: budget.most(), own: own.len() }
    }

    fn moved(&self, families: &mut Families<'_>) -> fmt::Result {
        let of = |number: fn(Count) -> u64| {
            self.series.iter().flat_map(move |(labels, sums)| {
                SENDERS.map(|(sender, count, _)| (sent_by(labels, sender), number(count(sums))))
            })
        };
        let gone = |number: fn(Count) -> u64| {
            SENDERS.map(|(sender, count, _)| {
                (vec![("sent_by", sender.to_owned())], number(count(&self.vanished)))
            })
        };
        let told = about("weir_network", "In records that have ended, by who sent it");
        families.counter(told.clone().of(packets()), of(|count| count.packets))?;
        families.counter(told.of(Unit::Bytes), of(|count| count.bytes))?;
        let told = about(
            "weir_network_vanished",
            "What series had counted that are gone, for want of room or of traffic",
        );
        families.counter(told.clone().of(packets()), gone(|count| count.packets))?;
        families.counter(told.of(Unit::Bytes), gone(|count| count.bytes))?;
        let records = self.series.iter().map(|(labels, sums)| (labels.clone(), sums.records));
        families.counter(
            about("weir_network_records", "Records of conversations, or of parts of them"),
            records,
        )?;
        let told = about("weir_network_vanished_records", "Those that series had counted that are gone");
        families.counter(told, one(self.vanished.records))
    }

    /// 0 is a fact where drops are watched.
    fn dropped(&self, families: &mut Families<'_>) -> fmt::Result {
        let of = |number: fn(Count) -> u64| {
            self.series.iter().filter_map(move |(labels, sums)| Some((labels.clone(), number(sums.dropped?))))
        };
        let told =
            about("weir_network_dropped", "What the kernel has dropped of conversations, in both directions");
        families.counter(told.clone().of(packets()), of(|count| count.packets))?;
        families.counter(told.of(Unit::Bytes), of(|count| count.bytes))?;
        let gone = self.vanished.dropped.unwrap_or_default();
        let told = about("weir_network_vanished_dropped", "Drops that series had counted that are gone");
        families.counter(told.clone().of(packets()), one(gone.packets))?;
        families.counter(told.of(Unit::Bytes), one(gone.bytes))
    }

    fn tcp(&self, families: &mut Families<'_>) -> fmt::Result {
        let of_tcp = || self.series.iter().filter(|(_, sums)| sums.is_of_tcp());
        let resent = of_tcp().flat_map(|(labels, sums)| {
            SENDERS.map(|(sender, _, at)| (sent_by(labels, sender), sums.retransmitted[at]))
        });
        let told = about(
            "weir_network_tcp_retransmitted_segments",
            "TCP segments that were sent again, by ends at this host",
        );
        families.counter(told, resent)?;
        let told = about(
            "weir_network_tcp_rtt",
            "Smoothed round-trip times of TCP connections, as ends at this host have them when a record ends",
        );
        let rtts = of_tcp().map(|(labels, sums)| (labels.clone(), sums.rtt));
        families.histogram(told.of(Unit::Seconds), rtts)
    }

    fn dns(&self, families: &mut Families<'_>) -> fmt::Result {
        let told =
            about("weir_network_dns_latency", "How long answers to DNS questions took, by who asked whom");
        let of_dns = self.series.iter().filter(|(_, sums)| sums.dns.count() > 0);
        families.histogram(told.of(Unit::Seconds), of_dns.map(|(labels, sums)| (labels.clone(), sums.dns)))
    }
}

/// The same labels, with who sent what is counted; where they say which way that went, it is its own.
fn sent_by(labels: &families::Labels, sender: &str) -> families::Labels {
    let mut labels = labels.clone();
    if sender == "destination" {
        for (_, value) in labels.iter_mut().filter(|(name, _)| *name == "direction") {
            let turned = match value.as_str() {
                "ingress" => "egress",
                "egress" => "ingress",
                _ => continue,
            };
            turned.clone_into(value);
        }
    }
    labels.push(("sent_by", sender.to_owned()));
    labels
}

impl Collector for Told {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.moved(&mut families)?;
        self.dropped(&mut families)?;
        self.tcp(&mut families)?;
        self.dns(&mut families)?;
        let told = about("weir_network_series", "Combinations of labels that are counted apart");
        families.gauge(told, one(self.own as u64))?;
        let told = about("weir_network_series_capacity", "How many may be: others are counted together");
        families.gauge(told, one(self.most as u64))
    }
}
