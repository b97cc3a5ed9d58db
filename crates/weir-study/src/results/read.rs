//! Results that were written before, perhaps by another Weir on another host.

use super::{FORMAT, Results};
use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// What every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Reads a `results.json`. Fields that it does not know are left out: a later version of Weir may have added them.
pub fn read(text: &str) -> Result<Results> {
    let not_ours = "not a results.json of weir study";
    let Head { format } = serde_json::from_str(text).context(not_ours)?;
    if format > FORMAT {
        bail!("written in format {format} by a newer Weir; this one reads formats up to {FORMAT}: update it");
    }
    serde_json::from_str(text).context(not_ours)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{measured, results};
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", read(text).expect_err("no results"))
    }

    #[test]
    fn what_was_written_is_read_again() {
        let written = results(vec![measured("weir", "1-flow", 0.5, 10.0)]);
        let text = serde_json::to_string(&written).expect("JSON");
        assert_eq!(read(&text).expect("results"), written);
        let later = text.replacen('{', r#"{"added_later":[1],"#, 1);
        assert_eq!(read(&later).expect("results"), written);
    }

    #[test]
    fn what_is_none_is_refused_in_a_line() {
        let not_ours = "not a results.json of weir study: ";
        assert_eq!(refused(""), format!("{not_ours}EOF while parsing a value at line 1 column 0"));
        assert_eq!(refused("{}"), format!("{not_ours}missing field `format` at line 1 column 2"));
        assert!(refused("arm,traffic\r\n").starts_with(not_ours));
        assert!(refused(r#"{"format": 1}"#).starts_with(&format!("{not_ours}missing field `weir`")));
        assert!(refused(r#"{"format": "one"}"#).starts_with(not_ours));
        assert!(refused(&"[".repeat(100_000)).starts_with(not_ours));
    }

    #[test]
    fn a_newer_format_is_named() {
        let newer = r#"{"format": 2, "everything": "else"}"#;
        let said = "written in format 2 by a newer Weir; this one reads formats up to 1: update it";
        assert_eq!(refused(newer), said);
    }
}
