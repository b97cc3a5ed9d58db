//! What the fuzz target for IPFIX does with bytes. The tests of weir-ipfix include this file and do the same.

use weir_ipfix::Reader;
use weir_record::FIELDS;

/// Reads the bytes as a file.
pub fn ipfix(bytes: &[u8]) {
    let (mut flows, mut mistakes) = (0, 0);
    let mut reader = Reader::new(bytes);
    for flow in reader.by_ref() {
        let Ok(flow) = flow else {
            mistakes += 1;
            continue;
        };
        flows += 1;
        FIELDS.iter().for_each(|field| drop((field.read)(&flow)));
    }
    assert!(mistakes <= 1, "nothing can be read after a mistake");
    assert_eq!(flows, reader.tally().records);
    assert!(reader.next().is_none());
    // The smallest message is a header, the smallest record of a flow an address.
    assert!(reader.tally().messages <= bytes.len() as u64 / 16 && flows <= bytes.len() as u64);
}
