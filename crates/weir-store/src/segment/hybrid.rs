//! Runs of small numbers in Parquet's form: levels are written in it, and places in a dictionary.
//!
//! What is the same for a while is a run: its length and the number, once. All else is packed, eight numbers at a time,
//! each in as few bits as the largest of the page takes. See Encodings.md of the Parquet format, "Run Length Encoding /
//! Bit-Packing Hybrid".

/// Numbers that are packed at a time. As many of the same are a run.
const GROUP: usize = 8;

/// The bits that numbers up to this one take.
pub(super) fn width(largest: u32) -> u32 {
    u32::BITS - largest.leading_zeros()
}

/// Appends numbers that take at most so many bits each.
///
/// Runs are looked for at every eighth number only: in between, those before one are not whole groups.
pub(super) fn put(mut numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    while let Some(first) = numbers.first() {
        if is_run(numbers) {
            let (run, rest) = numbers.split_at(run(*first, numbers));
            put_run(*first, run.len(), width, out);
            numbers = rest;
        } else {
            let run = (GROUP..numbers.len()).step_by(GROUP).find(|at| is_run(&numbers[*at..]));
            let (unlike, rest) = numbers.split_at(run.unwrap_or(numbers.len()));
            put_packed(unlike, width, out);
            numbers = rest;
        }
    }
}

/// Appends the same number so many times.
pub(super) fn put_run(number: u32, length: usize, width: u32, out: &mut Vec<u8>) {
    put_header((length as u64) << 1, out);
    out.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Appends numbers of which few are the same; a last group that is not whole is filled up with zeros.
fn put_packed(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    put_header((numbers.len().div_ceil(GROUP) as u64) << 1 | 1, out);
    let (groups, rest) = numbers.as_chunks();
    let mut put = |group| {
        // All of it, as that is a copy of known length; what is too much is taken away again.
        let end = out.len() + width as usize;
        out.extend_from_slice(&pack(group, width));
        out.truncate(end);
    };
    groups.iter().for_each(&mut put);
    if !rest.is_empty() {
        let mut last = [0; GROUP];
        last[..rest.len()].copy_from_slice(rest);
        put(&last);
    }
}

/// Eight numbers, from the lowest bit of the first byte on: two make a pair, two pairs a half of at most 128 bits.
pub(super) fn pack(group: &[u32; GROUP], width: u32) -> [u8; 32] {
    let [a, b, c, d, e, f, g, h] = group.map(u64::from);
    let pair = |first: u64, second: u64| u128::from(first | second << width);
    let half = |first: u128, second: u128| first | second << (2 * width);
    let (low, high) = (half(pair(a, b), pair(c, d)), half(pair(e, f), pair(g, h)));
    let bits = 4 * width;
    let mut packed = [0; 32];
    packed[..16].copy_from_slice(&(low | high.unbounded_shl(bits)).to_le_bytes());
    packed[16..].copy_from_slice(&high.unbounded_shr(u128::BITS - bits).to_le_bytes());
    packed
}

/// Whether a run begins here.
fn is_run(numbers: &[u32]) -> bool {
    numbers.first_chunk::<GROUP>().is_some_and(|group| is_all(group[0], group))
}

/// How often the number is there before another.
fn run(number: u32, numbers: &[u32]) -> usize {
    let groups = numbers.as_chunks::<GROUP>().0.iter().take_while(|group| is_all(number, group)).count();
    let rest = &numbers[groups * GROUP..];
    groups * GROUP + rest.iter().take_while(|other| **other == number).count()
}

/// Without a branch for each, which the processor does at once.
fn is_all(number: u32, group: &[u32; GROUP]) -> bool {
    group.iter().fold(0, |unlike, other| unlike | (other ^ number)) == 0
}

/// Seven bits to a byte, the lowest first; all but the last have the eighth set.
pub(super) fn put_header(mut header: u64, out: &mut Vec<u8>) {
    while header > 0x7f {
        out.push(header as u8 | 0x80);
        header >>= 7;
    }
    out.push(header as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(numbers: &[u32], width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        put(numbers, width, &mut out);
        out
    }

    /// As the specification says it, bit for bit.
    fn decoded(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut take = |count: usize| {
            let (taken, rest) = bytes.split_at(count);
            bytes = rest;
            taken
        };
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let (mut header, mut shift) = (0, 0);
            loop {
                let byte = take(1)[0];
                header |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let bytes = take(width.div_ceil(8) as usize);
                let number = bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
                numbers.extend(std::iter::repeat_n(number, header >> 1));
            } else {
                let bytes = take((header >> 1) * width as usize);
                let bit = |at: u32| u32::from(bytes[at as usize / 8] >> (at % 8) & 1);
                let number = |at: u32| (0..width).fold(0, |number, by| number | bit(at * width + by) << by);
                numbers.extend((0..(header >> 1) as u32 * 8).map(number));
            }
        }
        assert!(bytes.is_empty(), "{} bytes too many", bytes.len());
        // Only the last group is filled up.
        assert!(numbers.len() < count + 8, "{} of {count}", numbers.len());
        numbers.truncate(count);
        numbers
    }

    #[test]
    fn what_the_specification_shows_is_as_it_shows_it() {
        let numbers: Vec<_> = (0..8).collect();
        assert_eq!(encoded(&numbers, 3), [3, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        assert_eq!(encoded(&[1; 300], 9), [0b1101_1000, 0b100, 1, 0]);
        assert!(encoded(&[], 5).is_empty());
    }

    #[test]
    fn one_number_alone_takes_no_bits() {
        assert_eq!((width(0), width(1), width(255), width(256), width(u32::MAX)), (0, 1, 8, 9, 32));
        assert_eq!(encoded(&[0; 20_000], 0), [0xc0, 0xb8, 0x02]);
        assert_eq!(encoded(&[0; 3], 0), [3]);
    }

    #[test]
    fn runs_begin_and_end_anywhere() {
        let mut numbers = vec![7, 6, 5];
        numbers.extend([4; 21]);
        numbers.extend([9, 8]);
        numbers.extend([3; 8]);
        assert_eq!(decoded(&encoded(&numbers, 4), 4, numbers.len()), numbers);
        // Eight packed, of which five are fours already; then a run of the other sixteen.
        assert_eq!(encoded(&numbers, 4)[..7], [3, 0x67, 0x45, 0x44, 0x44, 32, 4]);
    }

    fn numbers() -> impl Strategy<Value = (u32, Vec<u32>)> {
        (0..=32_u32).prop_flat_map(|width| {
            let largest = u32::MAX.unbounded_shr(32 - width);
            let run = (prop_oneof![0..=largest, Just(largest)], prop_oneof![3 => Just(1), 1 => 2..40_usize]);
            let runs = prop::collection::vec(run, 0..120);
            let all =
                |runs: Vec<_>| runs.into_iter().flat_map(|(number, of)| std::iter::repeat_n(number, of));
            runs.prop_map(move |runs| (width, all(runs).collect()))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_is_what_was_put((width, numbers) in numbers()) {
            prop_assert_eq!(decoded(&encoded(&numbers, width), width, numbers.len()), numbers);
        }
    }
}
