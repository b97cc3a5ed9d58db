//! Values as they are written: numbers, times, addresses, protocols, texts.

use crate::expression::Pattern;
use jiff::Timestamp;
use std::net::IpAddr;
use weir_record::{Unit, protocol_names, protocol_number};

/// Suffixes of numbers: each is a thousand or 1 024 of the one before it.
pub(super) const DECIMAL: [(&str, u64); 4] =
    [("k", 1000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
/// Of bytes only.
pub(super) const BINARY: [(&str, u64); 4] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
/// Of lengths of time only.
pub(super) const LENGTHS: [(&str, u64); 3] = [("us", 1), ("ms", 1000), ("s", 1_000_000)];

/// How long a glob may be.
const LONGEST_GLOB: usize = 256;

/// A whole number: decimal, with a suffix where it counts something, or hexadecimal with 0x.
pub(super) fn number(text: &str, unit: Unit) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return digits
            .bytes()
            .all(|one| one.is_ascii_hexdigit())
            .then(|| u64::from_str_radix(digits, 16).ok())?;
    }
    let (digits, suffix) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let times = if suffix.is_empty() { 1 } else { factor(suffix, unit)? };
    digits.parse::<u64>().ok()?.checked_mul(times)
}

fn factor(suffix: &str, unit: Unit) -> Option<u64> {
    let named = |names: &[(&str, u64)], word: &str| {
        names.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|found| found.1)
    };
    match unit {
        Unit::Packets => named(&DECIMAL, suffix),
        Unit::Bytes => {
            let bare = suffix.strip_suffix(['B', 'b']).unwrap_or(suffix);
            let binary = || named(&BINARY, &format!("{bare}B"));
            if bare.is_empty() { Some(1) } else { named(&DECIMAL, bare).or_else(binary) }
        }
        Unit::Microseconds => named(&LENGTHS, suffix),
        Unit::None | Unit::Time => None,
    }
}

/// What is wrong with a range of numbers, where that can be said.
pub(super) fn range_hint(text: &str) -> Option<String> {
    let (first, last) = text.split_once('-')?;
    let reversed = first.parse::<u64>().ok()? > last.parse::<u64>().ok()?;
    reversed.then(|| format!(": did you mean '{last}-{first}'?"))
}

/// A time as RFC 3339 has it, in nanoseconds since the epoch.
pub(super) fn time(text: &str) -> Option<u64> {
    u64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

/// Protocols by name, by a glob of names, by number or by a range of numbers.
pub(super) fn protocols(text: &str, quoted: bool) -> Option<Vec<(u64, u64)>> {
    let lower = text.to_ascii_lowercase();
    if let Some(number) = protocol_number(&lower) {
        return Some(vec![(number.into(), number.into())]);
    }
    if let Some((first, last)) = text.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse::<u8>(), last.parse::<u8>())
    {
        return (first <= last).then(|| vec![(first.into(), last.into())]);
    }
    let glob = pattern(&lower, quoted).ok()?;
    let fitting: Vec<_> = protocol_names()
        .filter(|(_, name)| glob.fits(name))
        .map(|(number, _)| (number.into(), number.into()))
        .collect();
    (!fitting.is_empty()).then_some(fitting)
}

/// A range of addresses of one family.
pub(super) enum Addresses {
    V4(u32, u32),
    V6(u128, u128),
}

impl Addresses {
    fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                Some(Self::V4(first.into(), last.into()))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                Some(Self::V6(first.into(), last.into()))
            }
            _ => None,
        }
    }
}

/// Whether a text can only be meant as a host's name, rather than as an address with a mistake in it.
pub(super) fn is_name(text: &str) -> bool {
    text.contains(|one: char| one.is_alphabetic())
        && !text.contains([':', '/'])
        && !text.eq_ignore_ascii_case("null")
}

/// An address, a network, or a range of addresses.
pub(super) fn addresses(text: &str) -> Option<Addresses> {
    if let Some((first, last)) = text.split_once('-') {
        return Addresses::new(first.parse().ok()?, last.parse().ok()?);
    }
    let Some((address, length)) = text.split_once('/') else {
        let address = text.parse().ok()?;
        return Addresses::new(address, address);
    };
    let address = address.parse().ok()?;
    let (first, last) = network(address, length)?;
    (first == address).then(|| Addresses::new(first, last))?
}

/// First and last address of the network that an address lies in.
fn network(address: IpAddr, length: &str) -> Option<(IpAddr, IpAddr)> {
    let length: u32 = length.bytes().all(|one| one.is_ascii_digit()).then(|| length.parse().ok())??;
    match address {
        IpAddr::V4(address) if length <= 32 => {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            let bits = u32::from(address);
            Some((IpAddr::V4((bits & !hosts).into()), IpAddr::V4((bits | hosts).into())))
        }
        IpAddr::V6(address) if length <= 128 => {
            let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
            let bits = u128::from(address);
            Some((IpAddr::V6((bits & !hosts).into()), IpAddr::V6((bits | hosts).into())))
        }
        _ => None,
    }
}

/// What is wrong with an address, where that can be said.
pub(super) fn address_hint(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/')?;
    let (first, _) = network(address.parse().ok()?, length)?;
    Some(format!(": did you mean '{first}/{length}'?"))
}

/// Whether an unquoted text is a glob.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// A text, or a glob where it has wildcards and is not quoted.
pub(super) fn pattern(text: &str, quoted: bool) -> Result<Pattern, String> {
    if quoted || !is_glob(text) {
        return Ok(Pattern::Exact(text.into()));
    }
    if text.len() > LONGEST_GLOB {
        return Err(format!("a glob has at most {LONGEST_GLOB} bytes"));
    }
    let glob = glob::Pattern::new(text);
    glob.map(Pattern::Glob)
        .map_err(|error| format!("{} is not a glob: {}", crate::mistake::quoted(text), error.msg))
}
