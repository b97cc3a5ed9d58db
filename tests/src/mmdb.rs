//! Writes databases in MaxMind's format, version 2: one network each.

/// A value in the data of a database.
pub enum Value<'a> {
    /// UTF-8.
    Text(&'a str),
    /// An unsigned number of 32 bits.
    Number(u32),
    /// Keys and what they stand for.
    Map(Vec<(&'a str, Value<'a>)>),
}

const TEXT: u8 = 2;
const NUMBER_16: u8 = 5;
const NUMBER_32: u8 = 6;
const MAP: u8 = 7;
const NUMBER_64: u8 = 9;
const ARRAY: u8 = 11;

/// A database that has `value` for the first `length` bits of an IPv4 address, and nothing else.
pub fn database(address: [u8; 4], length: u32, value: &Value<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    for depth in 0..length {
        // The other branch leads nowhere; the last node's leads to the data, behind sixteen bytes of zeros.
        let next = if depth + 1 == length { length + 16 } else { depth + 1 };
        let bit = u32::from_be_bytes(address) >> (31 - depth) & 1;
        let records = if bit == 0 { [next, length] } else { [length, next] };
        records.iter().for_each(|record| file.extend(&record.to_be_bytes()[1..]));
    }
    file.extend([0; 16]);
    value.write(&mut file);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(length, &mut file);
    file
}

fn metadata(nodes: u32, file: &mut Vec<u8>) {
    control(MAP, 9, file);
    let number = |name: &str, (kind, width): (u8, usize), value: u64, file: &mut Vec<u8>| {
        text(name, file);
        control(kind, width, file);
        file.extend(&value.to_be_bytes()[8 - width..]);
    };
    number("binary_format_major_version", (NUMBER_16, 2), 2, file);
    number("binary_format_minor_version", (NUMBER_16, 2), 0, file);
    number("build_epoch", (NUMBER_64, 8), 1_700_000_000, file);
    number("ip_version", (NUMBER_16, 2), 4, file);
    number("node_count", (NUMBER_32, 4), nodes.into(), file);
    number("record_size", (NUMBER_16, 2), 24, file);
    text("database_type", file);
    text("Weir-Test", file);
    text("description", file);
    control(MAP, 0, file);
    text("languages", file);
    control(ARRAY, 0, file);
}

impl Value<'_> {
    fn write(&self, file: &mut Vec<u8>) {
        match self {
            Self::Text(word) => text(word, file),
            Self::Number(number) => {
                control(NUMBER_32, 4, file);
                file.extend(number.to_be_bytes());
            }
            Self::Map(entries) => {
                control(MAP, entries.len(), file);
                for (key, value) in entries {
                    text(key, file);
                    value.write(file);
                }
            }
        }
    }
}

fn text(text: &str, file: &mut Vec<u8>) {
    control(TEXT, text.len(), file);
    file.extend(text.as_bytes());
}

/// The byte before a value: its kind, its size; and up to two more where they do not fit.
fn control(kind: u8, size: usize, file: &mut Vec<u8>) {
    const EXTENDED: u8 = 7;
    let short = size.min(29) as u8;
    match kind.checked_sub(EXTENDED) {
        Some(extended) if extended > 0 => file.extend([short, extended]),
        _ => file.push(kind << 5 | short),
    }
    if size >= 29 {
        file.push((size - 29) as u8);
    }
}
