//! What a file is, by how it begins.

use crate::Error;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The classic capture of libpcap.
    Pcap,
    /// The capture of Wireshark.
    Pcapng,
    /// The flows of nfdump's collectors.
    Nfcapd,
    /// Messages of exporters (RFC 5655).
    Ipfix,
}

/// How many bytes tell.
pub(crate) const MAGIC: usize = 6;

const COMPRESSED: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "zcat"),
    (b"\x28\xb5\x2f\xfd", "zstdcat"),
    (b"\xfd7zXZ\0", "xzcat"),
    (b"BZh", "bzcat"),
    (b"\x04\x22\x4d\x18", "lz4cat"),
];

impl Format {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
            Self::Nfcapd => "nfcapd",
            Self::Ipfix => "IPFIX",
        }
    }

    /// That of a file that begins so.
    pub(crate) fn of(magic: &[u8]) -> Result<Self, Error> {
        let refused = |what: &str, remedy| Err(Error::NotRead { what: what.into(), remedy });
        match magic {
            [0xa1, 0xb2, 0xc3, 0xd4, ..]
            | [0xd4, 0xc3, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0x3c, 0x4d, ..]
            | [0x4d, 0x3c, 0xb2, 0xa1, ..] => Ok(Self::Pcap),
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => Ok(Self::Pcapng),
            [0x0c, 0xa5, ..] => Ok(Self::Nfcapd),
            [0xa5, 0x0c, ..] => {
                refused("a file of nfcapd in big-endian byte order", "import it where it was written")
            }
            [0xa1, 0xb2, 0xcd, 0x34, ..] | [0x34, 0xcd, 0xb2, 0xa1, ..] => refused(
                "a capture with a modified header",
                "`editcap -F pcap OLD NEW` makes a usual one of it",
            ),
            _ if weir_ipfix::is_ipfix(magic) => Ok(Self::Ipfix),
            _ => match COMPRESSED.iter().find(|(start, _)| magic.starts_with(start)) {
                Some((_, tool)) => Err(Error::Compressed(tool)),
                None => Err(Error::Unknown),
            },
        }
    }
}
