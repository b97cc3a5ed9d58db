//! Passwords that stand where none belong, in what is said of a mistake.

use std::borrow::Cow;
use weir_export::SECRET;

/// What stands in a secret's place, as in the command lines of processes.
const MASK: &str = "***";

/// A message in which a URL is quoted, without who asks in it. Rather too much is hidden, since a password may have any
/// character: everything up to the last `@`, and what stands behind a secret's name up to the quote behind the URL.
pub fn masked(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    if let Some(begin) = masked.find("://").map(|at| at + 3)
        && let Some(length) = masked[begin..].rfind('@')
    {
        masked.to_mut().replace_range(begin..begin + length, MASK);
    }
    let value = |name: &&str| masked.find(&format!("{name}=")).map(|at| at + name.len() + 1);
    if let Some(begin) = SECRET.iter().filter_map(value).min() {
        let rest = &masked[begin..];
        let end = rest.find("' for '").or_else(|| rest.rfind(['\'', '"'])).unwrap_or(rest.len());
        masked.to_mut().replace_range(begin..begin + end, MASK);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_message() {
        for (said, shown) in [
            (
                "'https://user:pa@ss/w?o rd@host/' for '--export <URL>': no",
                "'https://***@host/' for '--export <URL>': no",
            ),
            ("'https://h/?token=a'b&x=1' is wrong", "'https://h/?token=***' is wrong"),
            (
                "'https://h/?secret=a&b' for '--export <URL>': it's no",
                "'https://h/?secret=***' for '--export <URL>': it's no",
            ),
            ("export: 'kafka://h/t?user=a&password=b'", "export: 'kafka://h/t?user=a&password=***'"),
        ] {
            assert_eq!(masked(said), shown);
        }
    }

    #[test]
    fn other_messages_stay() {
        for said in [
            "invalid value 'https://host/?password_file=/etc/x' for '--export <URL>'",
            "unexpected argument '--exprt'; a similar argument exists: '--export'",
            "who@host is no address",
        ] {
            assert!(matches!(masked(said), Cow::Borrowed(same) if same == said));
        }
    }
}
