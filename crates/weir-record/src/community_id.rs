//! Community ID, version 1, seed 0: the name by which Zeek, Suricata, Wireshark and others know
//! the same conversation (<https://github.com/corelight/community-id-spec>).

use crate::FlowKey;
use crate::icmp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// The version, and 20 bytes in Base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommunityId([u8; 30]);

const VERSION: &[u8; 2] = b"1:";

impl CommunityId {
    fn of(hash: &[u8]) -> Option<Self> {
        let mut text = [0; 30];
        text[..VERSION.len()].copy_from_slice(VERSION);
        let written = STANDARD.encode_slice(hash, &mut text[VERSION.len()..]).ok()?;
        (VERSION.len() + written == text.len()).then_some(Self(text))
    }

    /// As others write it.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// The id of `key`'s conversation, the same in both directions; none where it is not IP, or
/// where the ports that belong into it were not to be read.
pub(crate) fn community_id(key: &FlowKey) -> Option<CommunityId> {
    let (protocol, (source, destination)) = (key.protocol()?, key.addresses()?);
    let (ports, one_way) = match protocol {
        TCP | UDP | SCTP => (Some(key.ports()?), false),
        ICMP | ICMPV6 => {
            let (kind, code) = key.icmp()?;
            let answer = icmp::counterpart(protocol, kind);
            (Some((kind, answer.map_or(code, |(_, other)| other))), answer.is_none())
        }
        _ => (None, false),
    };
    let (from, to) = ports.unzip();
    let (lower, upper) = ((source, from), (destination, to));
    let ((source, from), (destination, to)) =
        if one_way || lower <= upper { (lower, upper) } else { (upper, lower) };
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    update(&mut hash, source);
    update(&mut hash, destination);
    hash.update([protocol, 0]);
    for port in [from, to].into_iter().flatten() {
        hash.update(port.to_be_bytes());
    }
    CommunityId::of(&hash.finalize())
}

fn update(hash: &mut Sha1, address: IpAddr) {
    match address {
        IpAddr::V4(address) => hash.update(address.octets()),
        IpAddr::V6(address) => hash.update(address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Addresses;

    /// The specification's own table (`baseline_deflt.json`): protocol, source, destination, ports,
    /// id. For ICMP it has the counterpart's type in place of the code.
    type Row = (u8, &'static str, &'static str, Option<(u16, u16)>, &'static str);
    const BASELINE: &[Row] = &[
        (
            58,
            "fe80::200:86ff:fe05:80da",
            "fe80::260:97ff:fe07:69ea",
            Some((135, 136)),
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            "fe80::200:86ff:fe05:80da",
            Some((136, 135)),
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            "fe80::200:86ff:fe05:80da",
            Some((135, 136)),
            "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        ),
        (
            58,
            "fe80::200:86ff:fe05:80da",
            "fe80::260:97ff:fe07:69ea",
            Some((136, 135)),
            "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        ),
        (
            58,
            "3ffe:501:1800:2345::2",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            Some((3, 0)),
            "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
        ),
        (
            58,
            "3ffe:501:410:0:2c0:dfff:fe47:33e",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            Some((1, 4)),
            "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
        ),
        (
            58,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            "3ffe:501:0:1001::2",
            Some((128, 129)),
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        ),
        (
            58,
            "3ffe:501:0:1001::2",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            Some((129, 128)),
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        ),
        (58, "fe80::200:86ff:fe05:80da", "ff02::2", Some((133, 134)), "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
        (58, "fe80::260:97ff:fe07:69ea", "ff02::1", Some((134, 133)), "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
        (1, "192.168.0.89", "192.168.0.1", Some((8, 0)), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (1, "192.168.0.1", "192.168.0.89", Some((0, 8)), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (1, "10.0.0.1", "10.0.0.2", Some((11, 0)), "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
        (
            6,
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            "2607:f8b0:400c:c03::1a",
            Some((63943, 25)),
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (
            6,
            "2607:f8b0:400c:c03::1a",
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            Some((25, 63943)),
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (132, "192.168.170.8", "192.168.170.56", Some((7, 7)), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (132, "192.168.170.56", "192.168.170.8", Some((7, 7)), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (6, "128.232.110.120", "66.35.250.204", Some((34855, 80)), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (6, "66.35.250.204", "128.232.110.120", Some((80, 34855)), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (17, "192.168.1.52", "8.8.8.8", Some((54585, 53)), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (17, "8.8.8.8", "192.168.1.52", Some((53, 54585)), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (46, "10.1.12.1", "10.1.12.2", None, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
        (46, "10.1.12.2", "10.1.12.1", None, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
    ];

    fn key(protocol: u8, source: &str, destination: &str, ports: Option<(u16, u16)>) -> FlowKey {
        let addresses = match (source.parse(), destination.parse()) {
            (Ok(IpAddr::V4(source)), Ok(IpAddr::V4(destination))) => Addresses::V4(source, destination),
            (Ok(IpAddr::V6(source)), Ok(IpAddr::V6(destination))) => Addresses::V6(source, destination),
            other => panic!("{other:?}"),
        };
        FlowKey::Ip { vlan: None, addresses, protocol, ports }
    }

    #[test]
    fn ids_are_those_of_the_specification() {
        for &(protocol, source, destination, ports, id) in BASELINE {
            let flow = key(protocol, source, destination, ports);
            assert_eq!(community_id(&flow).as_ref().map(CommunityId::as_str), Some(id), "{flow:?}");
        }
    }

    #[test]
    fn both_directions_of_the_specification_s_flows_have_one_id() {
        for &(protocol, source, destination, ports, _) in BASELINE {
            let flow = key(protocol, source, destination, ports);
            if let Some(back) = flow.reversed() {
                assert_eq!(community_id(&back), community_id(&flow), "{back:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_told_has_none() {
        assert_eq!(community_id(&FlowKey::Other { vlan: None, ethertype: 0x0806 }), None);
        assert_eq!(community_id(&key(6, "10.0.0.1", "10.0.0.2", None)), None);
    }
}
