//! Numbers for people: short, and as wide as their neighbours.

use std::time::Duration;
use weir_record::{Unit, Value, set_bits};

/// `999 B`, `1.2 MiB`: at most 9 characters.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `12345`, `1.2 M`: at most 7 characters.
pub fn count(count: u64) -> String {
    const UNITS: [&str; 5] = ["k", "M", "G", "T", "P"];
    if count < 100_000 {
        return count.to_string();
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `12 345 678`: exact.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Bits a second: `850`, `1.2 M`.
pub fn bit_rate(bytes: u64, time: Duration) -> String {
    const UNITS: [&str; 6] = ["", " k", " M", " G", " T", " P"];
    let mut value = bytes as f64 * 8.0 / time.as_secs_f64().max(1e-9);
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0}") } else { format!("{value:.1}{}", UNITS[unit]) }
}

/// `85.0 µs`, `3.4 ms`, `1.2 s`: how long something took, at most 8 characters below three hours.
pub fn latency(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    match time.as_nanos() {
        0..1_000 => format!("{nanos} ns"),
        1_000..99_950 => format!("{:.1} µs", nanos / 1e3),
        99_950..999_500 => format!("{:.0} µs", nanos / 1e3),
        999_500..99_950_000 => format!("{:.1} ms", nanos / 1e6),
        99_950_000..999_500_000 => format!("{:.0} ms", nanos / 1e6),
        _ => format!("{:.1} s", nanos / 1e9),
    }
}

/// The same of whole microseconds: `85 µs`, `3.4 ms`.
pub fn micros(count: impl Into<u64>) -> String {
    let count = count.into();
    if count < 1000 { format!("{count} µs") } else { latency(Duration::from_micros(count)) }
}

/// `second`, `third`, `4th`.
pub fn ordinal(number: u32) -> String {
    match (number, number % 100, number % 10) {
        (1, ..) => "first".into(),
        (2, ..) => "second".into(),
        (3, ..) => "third".into(),
        (_, 11..=13, _) => format!("{number}th"),
        (.., 1) => format!("{number}st"),
        (.., 2) => format!("{number}nd"),
        (.., 3) => format!("{number}rd"),
        _ => format!("{number}th"),
    }
}

/// `350 ms`, `12.3 s`, `5 m 3 s`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What a field holds, a time as `clock` has it; nothing where it holds nothing.
pub fn value(value: &Value<'_>, unit: Unit, clock: impl Fn(u64) -> String) -> Option<String> {
    Some(match (value, unit) {
        (Value::Absent, _) => return None,
        (Value::Number(count), Unit::Microseconds) => micros(*count),
        (Value::Number(number), Unit::Bytes) => bytes(*number),
        (Value::Number(number), _) => number.to_string(),
        (Value::Text(word), _) => word.clone().into_owned(),
        (Value::Id(id), _) => id.to_string(),
        (Value::Address(address), _) => address.to_string(),
        (Value::Time(nanos), _) => clock(*nanos),
        (Value::Flag(flag), _) => if *flag { "yes" } else { "no" }.into(),
        (Value::Bits(bits), _) => {
            let set: Vec<_> = set_bits(*bits).map(|bit| bit.to_string()).collect();
            set.join(",")
        }
        (Value::Observations(all), _) => all.len().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_honest() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 KiB");
        assert_eq!(bytes(1 << 20), "1.0 MiB");
        assert_eq!(bytes(1_048_000), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(count(99_999), "99999");
        assert_eq!(count(1_234_567), "1.2 M");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(bit_rate(125_000, Duration::from_secs(1)), "1.0 M");
        assert_eq!(time(Duration::from_millis(350)), "350 ms");
        assert_eq!(time(Duration::from_secs(303)), "5 m 3 s");
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 21, 22, 103, 112].map(ordinal).join(" "),
            "first second third 4th 11th 12th 21st 22nd 103rd 112th"
        );
    }

    #[test]
    fn latencies() {
        let all = [17, 1_000, 12_340, 123_456, 999_499, 999_500, 3_400_000, 250_000_000, 1_250_000_000];
        let shown = all.map(|nanos| latency(Duration::from_nanos(nanos)));
        let expected =
            ["17 ns", "1.0 µs", "12.3 µs", "123 µs", "999 µs", "1.0 ms", "3.4 ms", "250 ms", "1.2 s"];
        assert_eq!(shown, expected);
        assert_eq!(
            [0_u32, 7, 999, 1000, 250_000].map(micros),
            ["0 µs", "7 µs", "999 µs", "1.0 ms", "250 ms"]
        );
    }
}
