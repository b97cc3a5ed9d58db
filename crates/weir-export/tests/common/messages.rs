//! What is in a stream of IPFIX.

use serde_json::Value;
use weir_tests::folder::Folder;
use weir_tests::ipfix;

/// The messages of a file that may end within one, without what follows the last whole one (RFC 7011, section 3.1).
fn whole(bytes: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some([_, _, high, low]) = bytes.get(end..end + 4) {
        let next = end + usize::from(u16::from_be_bytes([*high, *low]));
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    &bytes[..end]
}

/// The flows of one connection, as far as it has come.
pub fn collected(folder: &Folder, name: &str, bytes: &[u8]) -> Vec<Value> {
    let bytes = whole(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    ipfix::flows(&folder.write(name, bytes)).into_iter().map(Value::Object).collect()
}
