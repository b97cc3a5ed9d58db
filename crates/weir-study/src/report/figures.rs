//! Numbers as people read them. What is missing, or no number, is a dash.

/// Stands for what was not measured.
pub const MISSING: &str = "–";

/// That many digits after the point; thousands apart.
pub fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return MISSING.into();
    }
    let plain = format!("{:.digits$}", value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let is_zero = plain.chars().all(|c| matches!(c, '0' | '.'));
    let mut text = String::from(if value < 0.0 && !is_zero { "−" } else { "" });
    for (place, digit) in whole.chars().enumerate() {
        // A number of four digits is read at a glance.
        if place > 0 && (whole.len() - place).is_multiple_of(3) && whole.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// Packets, flows, bytes.
pub fn count(value: u64) -> String {
    number(value as f64, 0)
}

/// Nanoseconds, without the unit.
pub fn ns(value: f64) -> String {
    number(value, if value.abs() < 9.95 { 1 } else { 0 })
}

/// Million packets per second, without the unit.
pub fn mpps(value: f64) -> String {
    number(value, if value.abs() < 0.0995 { 4 } else { 3 })
}

/// A ratio.
pub fn ratio(value: f64) -> String {
    number(value, 3)
}

/// `1.9 times`, `29 times`.
pub fn times(value: f64) -> String {
    number(
        value,
        if value < 0.095 {
            3
        } else if value < 0.995 {
            2
        } else if value < 9.95 {
            1
        } else {
            0
        },
    )
}

/// A share in percent: something is never shown as nothing, almost all never as all.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent.abs() < 0.995 { 2 } else { 1 };
    if percent == 0.0 || percent == 100.0 {
        format!("{percent:.0} %")
    } else if 0.0 < percent && percent < 0.01 {
        "< 0.01 %".into()
    } else if 99.9 < percent && percent < 100.0 {
        format!("{:.4} %", (percent * 1e4).floor().min(999_999.0) / 1e4)
    } else {
        match number(percent, digits) {
            dash if dash == MISSING => dash,
            number => format!("{number} %"),
        }
    }
}

/// Memory.
pub fn bytes(value: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value as f64;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", number(value, usize::from(unit > 0)), units[unit])
}

/// How long something took.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => MISSING.into(),
        s if s < 119.5 => format!("{} s", number(s, 0)),
        s if s < 7170.0 => format!("{} min", number(s / 60.0, 0)),
        s => format!("{} h", number(s / 3600.0, 1)),
    }
}

/// `f` of what there is.
pub fn or_missing(value: Option<f64>, f: fn(f64) -> String) -> String {
    value.map_or(MISSING.into(), f)
}

/// `a`, `a and b`, `a, b and c`.
pub fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(1234567.0, 0), "1\u{202f}234\u{202f}567");
        assert_eq!(number(1234.5, 1), "1234.5");
        assert_eq!(number(-3.24, 1), "−3.2");
        assert_eq!(number(-0.01, 1), "0.0");
        for none in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!([ns(none), percent(none), ratio(none), mpps(none), duration(none)], [MISSING; 5]);
        }
    }

    #[test]
    fn almost_all_is_not_all() {
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.999_999_99), "99.9999 %");
        assert_eq!(percent(0.1234), "12.3 %");
        assert_eq!(percent(0.000_001), "< 0.01 %");
        assert_eq!(percent(0.0), "0 %");
    }

    #[test]
    fn units() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
        assert_eq!(duration(89.2), "89 s");
        assert_eq!(duration(600.0), "10 min");
        assert_eq!(ns(6.04), "6.0");
        assert_eq!(ns(118.2), "118");
    }

    #[test]
    fn lists() {
        let names = |n: usize| ["a", "b", "c"][..n].iter().map(|s| s.to_string()).collect::<Vec<_>>();
        assert_eq!(
            [and(&names(0)), and(&names(1)), and(&names(2)), and(&names(3))],
            ["", "a", "a and b", "a, b and c"]
        );
    }
}
