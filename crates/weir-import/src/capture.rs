//! What all captures have in common: packets with a time, and conversations made of them.

use crate::Timeouts;
use crate::error::Result;
use crate::link::framed;
use crate::meter::{Meter, Sighting};
use crate::origin::{LAST_TIME, MAX_INTERFACES, Origin};
use crate::packet;
use crate::report::{Cause, Output};
use hashbrown::HashMap;
use std::sync::Arc;
use weir_record::{Count, Direction};

/// A file that is read packet by packet.
pub(crate) trait Capture {
    /// The next packet; none at the end of the file.
    fn next(&mut self) -> Result<Option<Captured<'_>>>;
}

/// A packet of a file.
pub(crate) struct Captured<'a> {
    /// Bytes that it had, captured or not.
    pub length: u32,
    /// What is known of it, or why it is of no use.
    pub frame: std::result::Result<Frame<'a>, Cause>,
}

/// A packet that says where and when.
pub(crate) struct Frame<'a> {
    /// Number of the interface in the file.
    pub interface: u32,
    pub name: Option<&'a Arc<str>>,
    pub link_type: u16,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub direction: Option<Direction>,
    pub data: &'a [u8],
}

/// Makes records of all that is in a capture.
pub(crate) fn meter(
    capture: &mut dyn Capture,
    name: &str,
    timeouts: Timeouts,
    output: &mut Output<'_, '_>,
) -> Result<()> {
    let mut meter = Meter::new(timeouts);
    let mut places = Places::new(name);
    let ended = loop {
        let Captured { length, frame } = match capture.next() {
            Ok(Some(captured)) => captured,
            Ok(None) => break Ok(()),
            Err(stop) => break Err(stop),
        };
        match frame.and_then(|frame| sighting(&frame, length, &mut places, &mut meter)) {
            Ok(sighting) => {
                output.saw(Count { packets: 1, bytes: sighting.bytes });
                meter.add(&sighting, output)?;
            }
            Err(cause) => {
                let count = Count { packets: 1, bytes: length.into() };
                output.saw(count);
                output.leave_out(cause, count);
            }
        }
    };
    // What is whole before the place where a file is cut off is handed out, too.
    meter.finish(output)?;
    ended
}

fn sighting(
    frame: &Frame<'_>,
    length: u32,
    places: &mut Places,
    meter: &mut Meter,
) -> std::result::Result<Sighting, Cause> {
    let framed = framed(frame.link_type, frame.data, length).ok_or(Cause::LinkType(frame.link_type))?;
    if frame.time > LAST_TIME {
        return Err(Cause::NoTime);
    }
    Ok(Sighting {
        place: places.number(frame, framed.interface_index, meter),
        direction: framed.direction.or(frame.direction),
        time: frame.time,
        bytes: u64::from(framed.length) + u64::from(framed.header),
        packet: packet::read(&framed),
    })
}

/// Interfaces of a file, by their numbers in it, and those that packets of a cooked capture name.
struct Places {
    origin: Origin,
    known: HashMap<(u32, Option<u32>), u32>,
}

/// The place of all that are too many.
const OTHERS: (u32, Option<u32>) = (u32::MAX, None);

impl Places {
    fn new(file: &str) -> Self {
        Self { origin: Origin::new(file), known: HashMap::new() }
    }

    fn number(&mut self, frame: &Frame<'_>, index: Option<u32>, meter: &mut Meter) -> u32 {
        let place = (frame.interface, index);
        let is_known = self.known.len() < MAX_INTERFACES || self.known.contains_key(&place);
        let place = if is_known { place } else { OTHERS };
        *self.known.entry(place).or_insert_with(|| {
            let name = frame.name.filter(|_| is_known).map(|name| &**name);
            let number = if is_known { index.unwrap_or(frame.interface) } else { 0 };
            meter.open(Arc::new(self.origin.interface(name, number)))
        })
    }
}
