//! `docs/configuration.md`: a text, and a table for each group of options.

use super::definition::{Definition, Key, Kind};
use std::fmt::Write;

/// The page, written for `make generate`.
pub fn page(definition: &Definition) -> String {
    let mut page = include_str!("page.md").to_string();
    let mut heading = "";
    for key in definition.keys() {
        if key.heading != heading {
            heading = &key.heading;
            let _ = write!(page, "\n### {heading}\n\n");
            page.push_str("| key | flag | environment | type | default | what it does |\n");
            page.push_str("|---|---|---|---|---|---|\n");
        }
        page.push_str(&row(key));
    }
    page
}

fn row(key: &Key) -> String {
    let short = key.short.map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let cells = [
        format!("`{}`", key.name),
        format!("{short}`{}`", key.flag),
        format!("`{}`", key.variable),
        key.kind.in_words(key.repeatable),
        key.default.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" "),
        key.help.clone(),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|").replace('\n', " ")).join(" | "))
}

impl Kind {
    fn in_words(&self, repeatable: bool) -> String {
        let one = match self {
            Self::Switch => "`true` or `false`".into(),
            Self::Choice(choices) => {
                choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
            }
            Self::Number(range) => format!("whole number, {} to {}", range.start(), range.end()),
            Self::Text(name) => name.clone(),
        };
        if repeatable { format!("{one}, or a list") } else { one }
    }
}
