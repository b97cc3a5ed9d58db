//! What servers of OTLP answer: the same whatever they were sent.

use crate::batch::Verdict;
use crate::protobuf::{Content, Fields, Malformed};
use weir_record::printable_start;

/// What others say is not repeated at any length.
const REMARK: usize = 300;

/// What an answer of 2xx, or OK, says.
pub fn verdict(page: &[u8]) -> Verdict {
    partial_success(page)
        .unwrap_or_else(|Malformed| Verdict { rejected: 0, remark: Some("what it says is not OTLP".into()) })
}

/// The message of a `google.rpc.Status`, which comes with a refusal.
pub fn complaint(page: &[u8]) -> Option<String> {
    let mut message = None;
    for field in Fields::of(page) {
        if let (2, Content::Bytes(text)) = field.ok()? {
            message = remark(text);
        }
    }
    message
}

/// `ExportLogsServiceResponse`, or one of the other signals', which have the same fields: what is in `partial_success`, where it
/// is there.
fn partial_success(page: &[u8]) -> Result<Verdict, Malformed> {
    let mut verdict = Verdict::default();
    for field in Fields::of(page) {
        let (1, Content::Bytes(partial_success)) = field? else { continue };
        for field in Fields::of(partial_success) {
            match field? {
                // An int64: less than nothing was not rejected.
                (1, Content::Number(rejected)) => {
                    verdict.rejected = (rejected as i64).try_into().unwrap_or_default();
                }
                (2, Content::Bytes(text)) => verdict.remark = remark(text),
                _ => {}
            }
        }
    }
    Ok(verdict)
}

/// What somebody else says, harmless and short; nothing where it is nothing.
fn remark(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    Some(printable_start(text.trim(), REMARK)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::Message;
    use proptest::prelude::*;

    fn response(rejected: u64, why: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Message(&mut out).message(1, |partial_success| {
            partial_success.number(1, rejected);
            partial_success.bytes(2, why);
        });
        out
    }

    /// As `protoc --encode` writes it.
    #[test]
    fn an_answer_word_for_word() {
        let page = b"\x0a\x0b\x08\x03\x12\x07too old";
        assert_eq!(partial_success(page), Ok(Verdict { rejected: 3, remark: Some("too old".into()) }));
        assert_eq!(
            [partial_success(b""), partial_success(b"\x0a\x00")],
            [Ok(Verdict::default()), Ok(Verdict::default())]
        );
        // Of a later version: a field more.
        assert_eq!(partial_success(b"\x12\x01x\x0a\x02\x08\x01"), Ok(Verdict { rejected: 1, remark: None }));
        assert_eq!(partial_success(b"<html>"), Err(Malformed));
    }

    proptest! {
        /// Whatever comes back, it is a verdict or none, and what it says is short and of one line.
        #[test]
        fn any_answer(bytes in prop::collection::vec(any::<u8>(), 0..400), rejected: u64, at: usize, byte: u8) {
            let mut page = response(rejected, &bytes);
            prop_assert_eq!(verdict(&page).rejected, if rejected >> 63 == 0 { rejected } else { 0 });
            let at = at % page.len();
            page[at] = byte;
            for page in [&page, &bytes] {
                for said in [verdict(page).remark, complaint(page)].into_iter().flatten() {
                    prop_assert!(said.len() <= REMARK + '…'.len_utf8() && !said.contains(char::is_control), "{}", said);
                }
            }
        }
    }
}
