//! What others have recorded, as Weir's flow records.
//!
//! ```text
//! bytes ──► format, by how they begin
//!   pcap, pcapng ──► link (where IP begins) ──► packet (which flow) ──► meter (conversations) ──► records
//!   nfcapd ──► blocks ──► records
//!   IPFIX ──► weir-ipfix ──► records
//! ```
//!
//! Captures become conversations by the rules of Weir's own probe and agent, so that the same packets make the same
//! records: docs/import.md. Nothing but [`Read`] is needed of the input, and nothing is kept of it but open conversations.
//! Whatever bytes come, what is whole is handed out, and the [`Report`] says what became of the rest.

mod bytes;
mod capture;
mod error;
mod format;
mod fragments;
mod ipfix;
mod link;
mod meter;
mod nfcapd;
mod origin;
mod packet;
mod pcap;
mod pcapng;
mod report;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use format::Format;
pub use meter::Timeouts;
pub use report::{Cause, LeftOut, Report};

use error::Stop;
use report::Output;
use std::io::{self, Read};
use weir_record::FlowRecord;

/// What takes the records. Its errors end the reading.
pub type Take<'a> = dyn FnMut(FlowRecord) -> io::Result<()> + 'a;

/// Reads a file to its end. `name` is what records say of where they are from.
///
/// # Errors
/// It is of no format that is known, or cannot be read at all, or a record was not taken. A file that is cut short or
/// damaged, or that cannot be read any further, is none: the report says so.
pub fn read(
    mut input: impl Read,
    name: &str,
    timeouts: Timeouts,
    take: &mut Take<'_>,
) -> Result<Report, Error> {
    let mut magic = [0; format::MAGIC];
    let length = bytes::fill(&mut input, &mut magic).map_err(Error::Read)?;
    let magic = &magic[..length];
    let format = Format::of(magic)?;
    let mut input = magic.chain(input);
    let mut output = Output::new(format, take);
    let ended = match format {
        Format::Pcap => pcap::Pcap::open(&mut input)
            .and_then(|mut file| capture::meter(&mut file, name, timeouts, &mut output)),
        Format::Pcapng => capture::meter(&mut pcapng::Pcapng::new(&mut input), name, timeouts, &mut output),
        Format::Ipfix => ipfix::read(&mut input, name, &mut output),
        Format::Nfcapd => nfcapd::read(&mut input, name, &mut output),
    };
    match ended {
        Ok(()) => Ok(output.report),
        Err(Stop::Broken(what)) => Ok(Report { broken: Some(what), ..output.report }),
        // What was handed out before is kept.
        Err(Stop::Error(Error::Read(error))) => {
            Ok(Report { broken: Some(format!("it cannot be read any further: {error}")), ..output.report })
        }
        Err(Stop::Error(error)) => Err(error),
    }
}
