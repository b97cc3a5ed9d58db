//! Files of nfdump's collectors (nfcapd, nfpcapd, sfcapd), as version 1.7 writes them: layout 2, records V3. Its own
//! description is `nffileV2.h` and `nfxV3.h`. All numbers are as the machine had them that wrote it: little-endian here.

mod record;

use crate::bytes::{Order, fill, replace};
use crate::error::{Error, Result, Stop};
use crate::report::{Cause, Output};
use record::Exporter;
use std::io::Read;
use weir_record::Count;

const ORDER: Order = Order::Little;
const HEADER: usize = 40;
const BLOCK_HEADER: usize = 12;
const LAYOUT: u16 = 2;

/// nfdump's own buffers are not larger.
const MAX_BLOCK: usize = 64 << 20;

const NOT_COMPRESSED: u8 = 0;
const LZ4: u8 = 3;
const BLOCK_UNCOMPRESSED: u16 = 1;
/// Blocks of type 4 hold one array of something else than flows.
const RECORDS: u16 = 3;

/// Records that are flows, and those of them that nfdump itself reads no more.
const FLOW: u16 = 11;
const OLD_FLOWS: [u16; 2] = [1, 10];

/// Reads a file to its end.
pub(crate) fn read(file: &mut impl Read, name: &str, output: &mut Output<'_, '_>) -> Result<()> {
    let header = Header::read(file)?;
    let mut exporter = Exporter::new(name);
    let mut block = Vec::new();
    for number in 1..=header.blocks {
        let cut = || Stop::Broken(format!("it ends within block {number} of {}", header.blocks));
        let mut start = [0; BLOCK_HEADER];
        if fill(file, &mut start).map_err(Error::Read)? < BLOCK_HEADER {
            return Err(cut());
        }
        let damaged = || Stop::Broken(format!("block {number} of {} is damaged", header.blocks));
        let size = ORDER.u32(&start, 4).map_or(0, |size| size as usize);
        let [kind, flags] = [8, 10].map(|at| ORDER.u16(&start, at).unwrap_or_default());
        if size > MAX_BLOCK {
            return Err(damaged());
        }
        if !replace(file, size, &mut block).map_err(Error::Read)? {
            return Err(cut());
        }
        if kind != RECORDS {
            continue;
        }
        if header.compression == LZ4 && flags & BLOCK_UNCOMPRESSED == 0 {
            block = unpack(&block, header.block_size).ok_or_else(damaged)?;
        }
        read_records(&block, &mut exporter, output)?;
    }
    // Behind them are the names and sums that a collector adds as it closes a file.
    let is_closed = header.appendix > 0 || fill(file, &mut [0]).map_err(Error::Read)? == 0;
    if is_closed {
        Ok(())
    } else {
        Err(Stop::Broken("its collector has not closed it: there may be more in it".into()))
    }
}

/// What is in a block of LZ4. The space that the header names may be anything: what little data can be packed into is
/// 255 times as much at most.
fn unpack(packed: &[u8], block_size: usize) -> Option<Vec<u8>> {
    let most = packed.len().saturating_mul(255).min(block_size.clamp(5 << 20, MAX_BLOCK));
    lz4_flex::block::decompress(packed, most).ok()
}

/// What a file says of itself.
struct Header {
    compression: u8,
    block_size: usize,
    blocks: u32,
    /// Blocks of another kind behind those.
    appendix: u16,
}

impl Header {
    fn read(file: &mut impl Read) -> Result<Self> {
        let mut header = [0; HEADER];
        if fill(file, &mut header).map_err(Error::Read)? < HEADER {
            return Err(Stop::Broken("it ends within its header".into()));
        }
        let not_read = |what, remedy| Stop::Error(Error::NotRead { what, remedy });
        let layout = ORDER.u16(&header, 2).unwrap_or_default();
        if layout != LAYOUT {
            let what = format!("a file of nfcapd in layout {layout}");
            return Err(not_read(what, "`nfdump -r OLD -w NEW` of nfdump 1.7 makes layout 2 of it"));
        }
        let (compression, encryption) = (header[16], header[17]);
        if encryption != 0 {
            return Err(not_read("an encrypted file of nfcapd".into(), "decrypt it first"));
        }
        let packed_by = match compression {
            NOT_COMPRESSED | LZ4 => None,
            1 => Some("LZO".to_owned()),
            2 => Some("bzip2".to_owned()),
            other => Some(format!("something that is not known ({other})")),
        };
        if let Some(method) = packed_by {
            let what = format!("a file of nfcapd that is compressed by {method}");
            return Err(not_read(what, "`nfdump -J 0 -r FILE` rewrites it uncompressed"));
        }
        let [block_size, blocks] = [32, 36].map(|at| ORDER.u32(&header, at).unwrap_or_default());
        let appendix = ORDER.u16(&header, 18).unwrap_or_default();
        Ok(Self { compression, block_size: block_size as usize, blocks, appendix })
    }
}

fn read_records(mut block: &[u8], exporter: &mut Exporter, output: &mut Output<'_, '_>) -> Result<()> {
    while let (Some(kind), Some(size)) = (ORDER.u16(block, 0), ORDER.u16(block, 2)) {
        let Some((raw, rest)) = block.split_at_checked(size.into()).filter(|_| size >= 4) else {
            break;
        };
        block = rest;
        match kind {
            FLOW => read_flow(raw, exporter, output)?,
            _ if OLD_FLOWS.contains(&kind) => output.leave_out(Cause::OldRecord(kind), Count::default()),
            // Who exports, by which rate, and the like.
            _ => {}
        }
    }
    if !block.is_empty() {
        output.leave_out(Cause::Damaged, Count::default());
    }
    Ok(())
}

fn read_flow(raw: &[u8], exporter: &mut Exporter, output: &mut Output<'_, '_>) -> Result<()> {
    let Some(record) = exporter.record(raw) else {
        output.leave_out(Cause::NotAFlow, Count::default());
        return Ok(());
    };
    output.saw(Count { packets: record.packets, bytes: record.bytes });
    output.saw(record.reverse.map_or_else(Count::default, |reverse| reverse.count));
    output.record(record)
}
