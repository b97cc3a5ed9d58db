//! Reads numbers and lengths from bytes, as far as there are any.

/// What is left to be read.
#[derive(Clone, Copy)]
pub struct Bytes<'b>(pub &'b [u8]);

impl<'b> Bytes<'b> {
    /// The next `count` of them.
    pub fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|one| one[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    pub fn u24(&mut self) -> Option<u32> {
        self.take(3).map(|three| u32::from_be_bytes([0, three[0], three[1], three[2]]))
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
    }

    /// A number of one, two, four or eight bytes (RFC 9000, 16).
    pub fn variable(&mut self) -> Option<u64> {
        let first = self.u8()?;
        let more = self.take((1 << (first >> 6)) - 1)?;
        Some(more.iter().fold(u64::from(first & 0x3f), |number, byte| number << 8 | u64::from(*byte)))
    }

    /// As many as a number of one byte says.
    pub fn short_list(&mut self) -> Option<Self> {
        let length = self.u8()?;
        self.take(length.into()).map(Bytes)
    }

    /// As many as a number of two bytes says.
    pub fn list(&mut self) -> Option<Self> {
        let length = self.u16()?;
        self.take(length.into()).map(Bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn numbers_of_any_length() {
        // RFC 9000, A.1.
        for (bytes, number) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            assert_eq!(Bytes(bytes).variable(), Some(number));
            assert_eq!(Bytes(&bytes[..bytes.len() - 1]).variable(), None);
        }
    }
}
