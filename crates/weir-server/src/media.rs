//! In which form an answer is wanted (RFC 9110, section 12.5.1).

/// The place among `offered` of what `accept` likes most; the first where it says nothing, none where it wants none.
pub(crate) fn choose(accept: &str, offered: &[&str]) -> Option<usize> {
    let mut wanted: Vec<_> = accept.split(',').filter_map(range).collect();
    if wanted.is_empty() {
        return Some(0);
    }
    // Of those that are liked as much the first one counts.
    wanted.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut liked = wanted.iter().filter(|(_, quality)| *quality > 0.0);
    liked.find_map(|(range, _)| offered.iter().position(|media| fits(range, media)))
}

/// A type, and how much it is liked.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q="));
    Some((name, quality.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0))))
}

fn fits(range: &str, media: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(kind) => media.starts_with(kind),
        // What else is said of a type is about its form; who wants it takes any.
        None => media.split(';').next() == Some(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_not_asked_for() {
        let offered =
            ["text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0; charset=utf-8"];
        for (accept, place) in [
            ("*/*", Some(0)),
            ("text/plain", Some(0)),
            (
                "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Some(1),
            ),
        ] {
            assert_eq!(choose(accept, &offered), place, "{accept}");
        }
    }

    #[test]
    fn what_is_liked_most_is_chosen() {
        let offered = ["application/json", "application/x-ndjson", "text/csv"];
        for (accept, place) in [
            ("", Some(0)),
            ("*/*", Some(0)),
            ("text/csv", Some(2)),
            ("text/*", Some(2)),
            ("TEXT/CSV; charset=utf-8", Some(2)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some(0)),
            ("application/json;q=0.5, text/csv", Some(2)),
            ("text/csv;q=0", None),
            ("image/png", None),
            ("text/csv;q=nonsense", None),
        ] {
            assert_eq!(choose(accept, &offered), place, "{accept}");
        }
    }
}
