//! The reference page of events.

use super::{EventColumn, EventKind};
use std::fmt::Write;

/// The reference page, `docs/events.md`.
pub fn events_page() -> String {
    let mut page = String::from(
        "# Events\n\n\
         Generated from the tables of events (`crates/weir-record/src/events/`) by `make generate`: do not edit.\n\n\
         `weir trace KIND` prints events as they happen ([trace.md](trace.md)). In JSON each has the kind as its `type`\n\
         and all of its kind's fields, in this order; one that does not apply is null. Fields that flow records have too\n\
         mean the same as there: [fields.md](fields.md).\n",
    );
    for kind in EventKind::ALL {
        let _ = write!(page, "\n## {}\n\n{}\n\n", kind.name, kind.doc);
        page.push_str("| field | JSON type | unit | OpenTelemetry | meaning |\n|---|---|---|---|---|\n");
        let mut of_flows = Vec::new();
        for column in kind.columns() {
            match column {
                EventColumn::Flow(field) => of_flows.push(format!("`{}`", field.name)),
                EventColumn::Own(field) => {
                    let null = if field.nullable { " or null" } else { "" };
                    let (json, unit) = (field.kind.json(), field.unit.as_str());
                    let _ = writeln!(
                        page,
                        "| `{}` | {json}{null} | {unit} | `{}` | {} |",
                        field.name, field.otel, field.doc
                    );
                }
            }
        }
        let _ = writeln!(page, "\nAs in flow records: {}.", of_flows.join(", "));
    }
    page.push_str(
        "\n## lost\n\nNot a kind: it stands in the stream of any kind where events are missing.\n\n\
         | field | JSON type | meaning |\n|---|---|---|\n\
         | `probe` | string | The probe whose events they are. |\n\
         | `events` | number | How many. |\n\
         | `cause` | string | Why: `ring_full` or `no_room`, the kernel had no room for them; `incomprehensible`, they came through and made no sense, or a part of them never came. |\n",
    );
    page
}
