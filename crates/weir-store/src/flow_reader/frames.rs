//! What stands before each part of a stream of Arrow: how long it is, and how it is packed. It is read here before the
//! decoder sees it, which makes room for whatever is said, and ends the process where there is none.

use arrow_ipc::{Message, RecordBatch, root_as_message};

/// What every message begins with, before the length of its head.
const MARK: [u8; 4] = [0xff; 4];
const PREFIX: usize = MARK.len() + size_of::<u32>();
/// Of a head, which names columns, and of a body, which has some ten thousand rows.
const LONGEST_HEAD: usize = 1 << 24;
const LONGEST_BODY: usize = 1 << 30;

/// Follows a stream from part to part.
#[derive(Default)]
pub(super) struct Frames {
    head: Vec<u8>,
    /// What is still to come of the body.
    body: usize,
}

impl Frames {
    /// How many of these bytes, which come next, are of one part: all of them, or until its end.
    ///
    /// # Errors
    /// They say what we take from nobody.
    pub fn part(&mut self, next: &[u8]) -> Result<usize, String> {
        if self.body > 0 {
            let part = next.len().min(self.body);
            self.body -= part;
            return Ok(part);
        }
        let Some(missing) = self.missing()? else { return Ok(next.len()) };
        let part = next.len().min(missing);
        self.head.extend_from_slice(&next[..part]);
        if self.missing()? == Some(0) {
            self.body = body(&self.head[PREFIX..])?;
            self.head.clear();
        }
        Ok(part)
    }

    /// How much is still to come of the head, or of what says how long that is; none at the end of the stream.
    fn missing(&self) -> Result<Option<usize>, String> {
        let Some((prefix, head)) = self.head.split_first_chunk::<PREFIX>() else {
            return Ok(Some(PREFIX - self.head.len()));
        };
        let Some(length) = prefix.strip_prefix(&MARK) else { return Err("it is no stream of Arrow".into()) };
        let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
        match length {
            0 => Ok(None),
            1..=LONGEST_HEAD => Ok(Some(length - head.len())),
            _ => Err(format!("{length} bytes of columns")),
        }
    }
}

/// How long the body is, behind this head.
fn body(head: &[u8]) -> Result<usize, String> {
    let message = root_as_message(head).map_err(|error| error.to_string())?;
    // What is packed says itself how long it becomes. Nobody who is asked not to packs.
    if batch(&message).is_some_and(|batch| batch.compression().is_some()) {
        return Err("it is compressed".into());
    }
    let length = message.bodyLength();
    let fits = usize::try_from(length).ok().filter(|length| *length <= LONGEST_BODY);
    fits.ok_or_else(|| format!("a batch of {length} bytes"))
}

fn batch<'m>(message: &Message<'m>) -> Option<RecordBatch<'m>> {
    message.header_as_record_batch().or_else(|| message.header_as_dictionary_batch()?.data())
}
