use super::*;
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
    assert_eq!(verdict(page), Ok(Verdict { rejected: 3, remark: Some("too old".into()) }));
    assert_eq!([verdict(b""), verdict(b"\x0a\x00")], [Ok(Verdict::default()), Ok(Verdict::default())]);
    // Of a later version: a field more.
    assert_eq!(verdict(b"\x12\x01x\x0a\x02\x08\x01"), Ok(Verdict { rejected: 1, remark: None }));
    assert_eq!(verdict(b"<html>"), Err(Malformed));
}

proptest! {
    /// Whatever comes back, it is a verdict or none, and what it says is short and of one line.
    #[test]
    fn any_answer(bytes in prop::collection::vec(any::<u8>(), 0..400), rejected: u64, at: usize, byte: u8) {
        let otlp = Otlp::new(Vec::new(), Resource::default());
        let mut page = response(rejected, &bytes);
        prop_assert_eq!(otlp.verdict(&page).rejected, if rejected >> 63 == 0 { rejected } else { 0 });
        let at = at % page.len();
        page[at] = byte;
        for page in [&page, &bytes] {
            for said in [otlp.verdict(page).remark, otlp.complaint(page)].into_iter().flatten() {
                prop_assert!(said.len() <= REMARK + '…'.len_utf8() && !said.contains(char::is_control), "{}", said);
            }
        }
    }
}
