//! IPFIX files (RFC 5655), read by weir-ipfix: those of `weir export`, and those of others.

use crate::error::{Error, Result, Stop};
use crate::origin::{LAST_TIME, Origin, counted};
use crate::report::{Cause, Output};
use std::io::Read;
use weir_ipfix::{ReadError, Reader};
use weir_record::{Count, FlowRecord};

/// Reads a file to its end.
pub(crate) fn read(file: &mut impl Read, name: &str, output: &mut Output<'_, '_>) -> Result<()> {
    let mut reader = Reader::new(file);
    let mut origin = Origin::new(name);
    let ended = loop {
        match reader.next() {
            Some(Ok(record)) => take(record, &mut origin, output)?,
            Some(Err(ReadError::Io(error))) => return Err(Error::Read(error).into()),
            Some(Err(broken)) => break Err(Stop::Broken(broken.to_string())),
            None => break Ok(()),
        }
    };
    for (cause, number) in reader.tally().causes() {
        output.did_not_understand(Cause::Ipfix(cause), number);
    }
    ended
}

fn take(mut record: FlowRecord, origin: &mut Origin, output: &mut Output<'_, '_>) -> Result<()> {
    let Some(count) = counted(&record).filter(|_| record.start.max(record.end) <= LAST_TIME) else {
        output.leave_out(Cause::NotAFlow, Count::default());
        return Ok(());
    };
    // Events of a firewall or a NAT count nothing; what Weir has exported has a number of its own.
    if count.packets == 0 && record.flow_id == 0 {
        output.leave_out(Cause::NotAFlow, count);
        return Ok(());
    }
    record.end = record.end.max(record.start);
    // What Weir has exported is as it was on its host. Others name no interface, and no conversation.
    if record.interface.name.is_empty() {
        record.interface = origin.unnamed(record.interface.index);
    }
    if record.observations.is_empty() {
        record.observations = record.by_one_point();
    }
    if record.flow_id == 0 {
        record.flow_id = record.key.conversation_id(record.interface.index, record.start);
    }
    output.saw(count);
    output.record(record)
}
