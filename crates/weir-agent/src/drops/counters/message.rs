//! rtnetlink's messages with the statistics of interfaces and of their queueing disciplines.

use super::{Name, Values};
use crate::netlink::{HEADER, error, messages};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlaBuffer, NlasIterator,
};
use weir_record::{Direction, DropSource, printable_start};

// include/uapi/linux/rtnetlink.h
const RTM_NEWQDISC: u16 = 36;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWSTATS: u16 = 92;
const RTM_GETSTATS: u16 = 94;
const TCA_KIND: u16 = 1;
const TCA_STATS2: u16 = 7;
// include/uapi/linux/gen_stats.h: the queue's numbers, of which the third are its drops
const TCA_STATS_QUEUE: u16 = 3;
const QUEUE_DROPS: usize = 2;
// include/uapi/linux/pkt_sched.h
const TC_H_ROOT: u32 = 0xffff_ffff;
const TC_H_INGRESS: u32 = 0xffff_fff1;
// include/uapi/linux/if_link.h
const IFLA_STATS_LINK_64: u16 = 1;

/// Lengths of `struct if_stats_msg` and `struct tcmsg`.
const STATS_HEADER: usize = 12;
const QDISC_HEADER: usize = 20;
/// A kernel's name for a queueing discipline has fifteen characters at most.
const LONGEST_KIND: usize = 16;

/// Of `struct rtnl_link_stats64`: what was dropped, rather than broken. Place, way, name.
const COUNTERS: [(usize, Direction, &str); 8] = [
    (6, Direction::Ingress, "rx_dropped"),
    (7, Direction::Egress, "tx_dropped"),
    (11, Direction::Ingress, "rx_over_errors"),
    (14, Direction::Ingress, "rx_fifo_errors"),
    (15, Direction::Ingress, "rx_missed_errors"),
    (18, Direction::Egress, "tx_fifo_errors"),
    (23, Direction::Ingress, "rx_nohandler"),
    // Linux 5.19.
    (24, Direction::Ingress, "rx_otherhost_dropped"),
];

/// A request, in the bytes that go to the kernel.
pub struct Request(Vec<u8>);

impl Request {
    /// The counters of all interfaces (4.7).
    pub fn interfaces() -> Self {
        let mut request = Self::new(RTM_GETSTATS, STATS_HEADER);
        request.0[HEADER + 8..].copy_from_slice(&(1_u32 << (IFLA_STATS_LINK_64 - 1)).to_ne_bytes());
        request
    }

    /// All queueing disciplines.
    pub fn qdiscs() -> Self {
        Self::new(RTM_GETQDISC, QDISC_HEADER)
    }

    fn new(kind: u16, header: usize) -> Self {
        let length = HEADER + header;
        let mut message = NetlinkBuffer::new(vec![0; length]);
        message.set_message_type(kind);
        message.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
        message.set_length(length as u32);
        Self(message.into_inner())
    }

    /// The bytes.
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads everything in `datagram`. How it ended, where it did.
pub fn read(datagram: &[u8], values: &mut Values) -> Option<i32> {
    let mut end = None;
    for message in messages(datagram) {
        let payload = message.payload();
        match message.message_type() {
            NLMSG_ERROR | NLMSG_DONE => end = Some(error(payload)),
            RTM_NEWSTATS => drop(interface(payload, values)),
            RTM_NEWQDISC => drop(qdisc(payload, values)),
            _ => {}
        }
    }
    end
}

fn interface(payload: &[u8], values: &mut Values) -> Option<()> {
    let ifindex = u32_at(payload, 4)?;
    let stats = attributes(payload.get(STATS_HEADER..)?).find(|one| one.kind() == IFLA_STATS_LINK_64)?;
    for (place, direction, word) in COUNTERS {
        if let Some(bytes) = stats.value().get(place * 8..place * 8 + 8) {
            let value = u64::from_ne_bytes(bytes.try_into().ok()?);
            values
                .insert(Name { source: DropSource::Interface, ifindex, direction, word: word.into() }, value);
        }
    }
    Some(())
}

/// The outermost one counts what those below it drop, too.
fn qdisc(payload: &[u8], values: &mut Values) -> Option<()> {
    let (ifindex, parent) = (u32_at(payload, 4)?, u32_at(payload, 12)?);
    let direction = match parent {
        TC_H_ROOT => Direction::Egress,
        TC_H_INGRESS => Direction::Ingress,
        _ => return None,
    };
    let all = payload.get(QDISC_HEADER..)?;
    let kind = attributes(all).find(|one| one.kind() == TCA_KIND)?;
    let stats = attributes(all).find(|one| one.kind() == TCA_STATS2)?;
    let queue = attributes(stats.value()).find(|one| one.kind() == TCA_STATS_QUEUE)?;
    let drops = u32_at(queue.value(), QUEUE_DROPS * 4)?;
    let kind = kind.value();
    let kind = String::from_utf8_lossy(kind.strip_suffix(&[0]).unwrap_or(kind));
    let word = printable_start(&kind, LONGEST_KIND).into();
    values.insert(Name { source: DropSource::Qdisc, ifindex, direction, word }, drops.into());
    Some(())
}

fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [(4 + value.len() as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Request::new(kind, 0).bytes();
        bytes.extend(payload);
        let length = bytes.len() as u32;
        NetlinkBuffer::new(&mut bytes).set_length(length);
        bytes
    }

    fn qdisc(parent: u32, drops: u32) -> Vec<u8> {
        let head: Vec<u8> = [0, 3, 0x10000, parent, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        let queue: Vec<u8> = [1, 2, drops, 3, 4].into_iter().flat_map(u32::to_ne_bytes).collect();
        let stats = attribute(TCA_STATS2, &attribute(TCA_STATS_QUEUE, &queue));
        message(RTM_NEWQDISC, &[head, attribute(TCA_KIND, b"tbf\0"), stats].concat())
    }

    fn said(datagram: &[u8]) -> Vec<(DropSource, u32, Direction, String, u64)> {
        let mut values = Values::new();
        assert_eq!(read(datagram, &mut values), None);
        let said = |(name, value): (Name, u64)| {
            (name.source, name.ifindex, name.direction, name.word.to_string(), value)
        };
        values.into_iter().map(said).collect()
    }

    #[test]
    fn only_the_outermost_qdisc_counts() {
        let both = [qdisc(TC_H_ROOT, 7), qdisc(0x10001, 5), qdisc(TC_H_INGRESS, 2)].concat();
        let expected = [
            (DropSource::Qdisc, 3, Direction::Ingress, "tbf".into(), 2),
            (DropSource::Qdisc, 3, Direction::Egress, "tbf".into(), 7),
        ];
        assert_eq!(said(&both), expected);
    }

    #[test]
    fn an_older_kernel_has_fewer_counters() {
        let head: Vec<u8> = [0, 9, 1].into_iter().flat_map(u32::to_ne_bytes).collect();
        let stats: Vec<u8> = (0..24_u64).flat_map(u64::to_ne_bytes).collect();
        let found = said(&message(RTM_NEWSTATS, &[head, attribute(IFLA_STATS_LINK_64, &stats)].concat()));
        assert_eq!(found.len(), COUNTERS.len() - 1);
        assert!(found.contains(&(DropSource::Interface, 9, Direction::Egress, "tx_dropped".into(), 7)));
    }

    #[test]
    fn noise_is_read_without_harm() {
        let whole = qdisc(TC_H_ROOT, 7);
        let mut values = Values::new();
        for cut in 0..whole.len() {
            read(&whole[..cut], &mut values);
            let mut noise = whole.clone();
            noise[cut] ^= 0xff;
            read(&noise, &mut values);
            read(&message(RTM_NEWSTATS, &noise), &mut values);
        }
    }
}
