//! What stands where in a message (RFC 7011, section 3).

/// The version that IPFIX has; NetFlow has those below.
pub const VERSION: u16 = 10;
/// Version, length, export time, sequence number, observation domain.
pub const MESSAGE_HEADER: usize = 16;
/// NetFlow 9 (RFC 3954, section 5.1): version, count, uptime, export time, sequence number, source id.
pub const PACKET_HEADER: usize = 20;
/// Its id and length.
pub const SET_HEADER: usize = 4;
/// The set that holds templates.
pub const TEMPLATES: u16 = 2;
/// The set that holds templates of what is not flows.
pub const OPTIONS_TEMPLATES: u16 = 3;
/// Where ids of templates, and so those of their sets, begin.
pub const FIRST_TEMPLATE: u16 = 256;
/// The length of what says its length itself.
pub const VARIABLE: u16 = u16::MAX;
/// Marks an element that is not IANA's.
pub const ENTERPRISE_BIT: u16 = 0x8000;

/// Bytes that are read from their beginning. What is not there is none.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'b>(pub &'b [u8]);

impl<'b> Bytes<'b> {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        self.take(LENGTH)?.try_into().ok()
    }

    /// One value: of this length, or of the length that it says itself (section 7).
    pub fn value(&mut self, length: u16) -> Option<&'b [u8]> {
        if length != VARIABLE {
            return self.take(length.into());
        }
        let length = match self.u8()? {
            u8::MAX => self.u16()?.into(),
            length => length.into(),
        };
        self.take(length)
    }
}

/// Appends a value that says its length itself, as much of it as a length can say.
pub fn put_variable(out: &mut Vec<u8>, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    match u8::try_from(length) {
        Ok(short) if short < u8::MAX => out.push(short),
        _ => {
            out.push(u8::MAX);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend(&value[..length.into()]);
}

/// Sets two bytes that are there already.
pub fn set_u16(out: &mut [u8], at: usize, value: u16) {
    set(out, at, value.to_be_bytes());
}

/// Sets four bytes that are there already.
pub fn set_u32(out: &mut [u8], at: usize, value: u32) {
    set(out, at, value.to_be_bytes());
}

fn set<const LENGTH: usize>(out: &mut [u8], at: usize, value: [u8; LENGTH]) {
    if let Some(place) = out.get_mut(at..at + LENGTH) {
        place.copy_from_slice(&value);
    }
}
