//! Numbers out of bytes, in either order.

use std::io::{self, ErrorKind, Read};

/// Reads until `bytes` are full or the input ends. How many.
pub(crate) fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match input.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads `length` bytes in place of what is in `into`, as far as they are there: no more memory is taken than comes.
/// Whether all are.
pub(crate) fn replace(input: &mut impl Read, length: usize, into: &mut Vec<u8>) -> io::Result<bool> {
    into.clear();
    input.take(length as u64).read_to_end(into)?;
    Ok(into.len() == length)
}

/// The bytes of this place, if they are there.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The most significant.
    Big,
    /// The least.
    Little,
}

impl Order {
    pub fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let raw = array(bytes, at)?;
        Some(if self == Self::Big { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }

    pub fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw = array(bytes, at)?;
        Some(if self == Self::Big { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }

    pub fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let raw = array(bytes, at)?;
        Some(if self == Self::Big { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) })
    }
}
