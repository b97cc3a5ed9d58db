//! Numbers as what each is more than the one before, in Parquet's form: here lengths, which hardly change.
//!
//! See Encodings.md of the Parquet format, "Delta Encoding (DELTA_BINARY_PACKED)".

use super::hybrid::{pack, put_header, width};

/// Differences that have a smallest one in common.
const BLOCK: usize = 128;
/// Differences of a block that take the same number of bits each.
const MINIBLOCK: usize = 32;

/// Appends numbers.
pub(super) fn put(numbers: &[u32], out: &mut Vec<u8>) {
    put_header(BLOCK as u64, out);
    put_header((BLOCK / MINIBLOCK) as u64, out);
    put_header(numbers.len() as u64, out);
    put_signed(numbers.first().map_or(0, |first| i64::from(*first)), out);
    let more: Vec<_> = numbers.windows(2).map(|pair| i64::from(pair[1]) - i64::from(pair[0])).collect();
    more.chunks(BLOCK).for_each(|block| put_block(block, out));
}

fn put_block(block: &[i64], out: &mut Vec<u8>) {
    let least = block.iter().copied().min().unwrap_or(0);
    put_signed(least, out);
    // Between two numbers of 32 bits there are at most 33 bits, of which what is taken off leaves 33; lengths are short.
    let beyond: Vec<_> = block.iter().map(|more| (more - least) as u32).collect();
    let widths: Vec<_> =
        beyond.chunks(MINIBLOCK).map(|few| width(few.iter().fold(0, |all, one| all | one))).collect();
    out.extend((0..BLOCK / MINIBLOCK).map(|at| widths.get(at).map_or(0, |width| *width as u8)));
    for (few, width) in beyond.chunks(MINIBLOCK).zip(widths) {
        let mut whole = [0; MINIBLOCK];
        whole[..few.len()].copy_from_slice(few);
        for group in whole.as_chunks().0 {
            out.extend_from_slice(&pack(group, width)[..width as usize]);
        }
    }
}

/// Small ones in few bytes, whatever their sign.
fn put_signed(number: i64, out: &mut Vec<u8>) {
    put_header((number << 1 ^ number >> 63) as u64, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the specification says it.
    fn decoded(bytes: &[u8]) -> Vec<i64> {
        let mut rest = bytes.iter().copied();
        fn varint(rest: &mut impl Iterator<Item = u8>) -> u64 {
            let (mut number, mut shift) = (0, 0);
            loop {
                let byte = rest.next().expect("a byte");
                number |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return number;
                }
            }
        }
        fn signed(rest: &mut impl Iterator<Item = u8>) -> i64 {
            let number = varint(rest);
            (number >> 1) as i64 ^ -((number & 1) as i64)
        }
        let (block, parts, count) = (varint(&mut rest), varint(&mut rest), varint(&mut rest) as usize);
        let mut numbers = vec![signed(&mut rest)];
        while numbers.len() < count {
            let least = signed(&mut rest);
            let widths: Vec<_> = rest.by_ref().take(parts as usize).collect();
            for width in widths {
                let of_part = (block / parts) as usize;
                if numbers.len() >= count {
                    break;
                }
                let packed: Vec<_> = rest.by_ref().take(of_part * width as usize / 8).collect();
                for at in 0..of_part.min(count - numbers.len()) {
                    let bit = |bit: usize| u64::from(packed[bit / 8] >> (bit % 8) & 1);
                    let beyond =
                        (0..width as usize).map(|one| bit(at * width as usize + one) << one).sum::<u64>();
                    numbers.push(numbers[numbers.len() - 1] + least + beyond as i64);
                }
            }
        }
        assert_eq!(rest.next(), None, "something is left");
        numbers.truncate(count);
        numbers
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_put(numbers in prop::collection::vec(prop_oneof![Just(11_u32), 0..20_u32, 0..1_000_000_u32], 0..400)) {
            let mut out = Vec::new();
            put(&numbers, &mut out);
            prop_assert_eq!(decoded(&out), numbers.iter().map(|number| i64::from(*number)).collect::<Vec<_>>());
        }
    }
}
