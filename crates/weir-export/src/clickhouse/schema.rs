//! The tables that records are put into, made from the table of flows that every history has.

use arrow_schema::{DataType, Field as Arrow, SchemaRef};
use std::fmt::Write;
use weir_store::{FlowStream, Table};

/// Where records go.
pub const TABLE: &str = "flows";
/// How long they are kept, and their sums by the minute.
const KEPT: [u32; 2] = [30, 400];
/// Inserts that are remembered, so that one that is repeated does nothing.
const REMEMBERED: u32 = 10_000;
/// Texts of which there are many: no dictionary is made of these.
const UNLIKE: [&str; 4] = ["flow_id", "parent_id", "source_arguments", "destination_arguments"];
/// What records that are summed by the minute have in common.
const KEY: [&str; 20] = [
    "host",
    "interface",
    "direction",
    "protocol",
    "source_address",
    "destination_address",
    "destination_port",
    "source_process",
    "source_name",
    "source_label",
    "source_pod",
    "source_namespace",
    "source_owner",
    "destination_process",
    "destination_name",
    "destination_label",
    "destination_pod",
    "destination_namespace",
    "destination_owner",
    "tcp_state",
];
const SUMS: [&str; 6] =
    ["packets", "bytes", "reverse_packets", "reverse_bytes", "dropped_packets", "dropped_bytes"];

/// What makes the database and all that is in it, where that is not there yet; columns that came with a later Weir are
/// added.
pub fn statements(database: &str) -> Vec<String> {
    let columns = FlowStream::new(String::new(), &[]);
    let database = quoted(database);
    vec![
        format!("CREATE DATABASE IF NOT EXISTS {database}"),
        flows(&database, columns.schema()),
        later(&database, columns.schema()),
        by_minute(&database, columns.schema()),
        view(&database),
    ]
}

/// One row for each record: a second one of the same `flow_id`, `start`, `end` and host replaces the first.
fn flows(database: &str, columns: &SchemaRef) -> String {
    let mut statement = format!("CREATE TABLE IF NOT EXISTS {database}.{TABLE}\n(\n");
    let lines: Vec<_> = columns.fields().iter().map(|column| format!("    {}", described(column))).collect();
    let _ = write!(
        statement,
        "{}\n)\nENGINE = ReplacingMergeTree\nPARTITION BY toYYYYMMDD(`end`)\nORDER BY (`end`, flow_id, start, host)\n\
         TTL toDateTime(`end`) + INTERVAL {} DAY\n\
         SETTINGS non_replicated_deduplication_window = {REMEMBERED}",
        lines.join(",\n"),
        KEPT[0],
    );
    statement
}

fn later(database: &str, columns: &SchemaRef) -> String {
    let lines: Vec<_> = columns
        .fields()
        .iter()
        .map(|column| format!("    ADD COLUMN IF NOT EXISTS {}", described(column)))
        .collect();
    format!("ALTER TABLE {database}.{TABLE}\n{}", lines.join(",\n"))
}

/// Sums of what ended in the same minute.
fn by_minute(database: &str, columns: &SchemaRef) -> String {
    let key = |name: &str| {
        let is_number =
            columns.field_with_name(name).is_ok_and(|column| *column.data_type() == DataType::UInt64);
        let kind = match () {
            () if is_number => "UInt64",
            () if name.ends_with("_address") => "String",
            () => "LowCardinality(String)",
        };
        format!("    `{name}` {kind}")
    };
    let keys = KEY.iter().map(|name| key(name));
    let sums = SUMS.iter().chain(&["records"]).map(|name| format!("    `{name}` UInt64"));
    let lines: Vec<_> =
        std::iter::once("    time DateTime('UTC')".to_owned()).chain(keys).chain(sums).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {database}.{TABLE}_1m\n(\n{}\n)\nENGINE = SummingMergeTree\n\
         PARTITION BY toYYYYMM(time)\nORDER BY (time, {})\nTTL time + INTERVAL {} DAY\n\
         SETTINGS non_replicated_deduplication_window = {REMEMBERED}",
        lines.join(",\n"),
        KEY.join(", "),
        KEPT[1],
    )
}

/// What does not apply is an empty text there, or 0.
fn view(database: &str) -> String {
    let keys = KEY.iter().map(|name| match *name {
        "host" => "host".to_owned(),
        "destination_port" => format!("ifNull({TABLE}.{name}, 0) AS `{name}`"),
        _ => format!("ifNull({TABLE}.{name}, '') AS `{name}`"),
    });
    let sums = SUMS.iter().map(|name| format!("sum(ifNull({TABLE}.{name}, 0)) AS `{name}`"));
    let columns: Vec<_> = keys.chain(sums).collect();
    format!(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.{TABLE}_to_1m TO {database}.{TABLE}_1m AS\n\
         SELECT toStartOfMinute(toDateTime({TABLE}.`end`, 'UTC')) AS time, {}, count() AS records\n\
         FROM {database}.{TABLE}\nGROUP BY time, {}",
        columns.join(", "),
        KEY.join(", ")
    )
}

/// Its name, its type, and what it says.
fn described(column: &Arrow) -> String {
    let doc = Table::flows().columns.iter().find(|one| one.name == column.name()).map(|one| one.doc);
    let doc = doc.unwrap_or("The host that has seen it.").replace('\\', "\\\\").replace('\'', "\\'");
    format!("`{}` {} COMMENT '{doc}'", column.name(), kind_of(column))
}

/// ClickHouse's type for a column.
fn kind_of(column: &Arrow) -> String {
    let name = column.name().as_str();
    match column.data_type() {
        DataType::Utf8 if UNLIKE.contains(&name) || name.ends_with("_address") => {
            format!("{} CODEC(ZSTD(1))", or_null(column, "String"))
        }
        DataType::Utf8 => format!("LowCardinality({})", or_null(column, "String")),
        DataType::UInt64 => format!("{} CODEC(T64, ZSTD(1))", or_null(column, "UInt64")),
        DataType::Boolean => or_null(column, "Bool"),
        DataType::Timestamp(..) => {
            format!("{} CODEC(Delta, ZSTD(1))", or_null(column, "DateTime64(9, 'UTC')"))
        }
        DataType::List(item) => format!("Array({})", item_of(item)),
        other => other.to_string(),
    }
}

/// Of what stands in a list.
fn item_of(item: &Arrow) -> String {
    match item.data_type() {
        DataType::Struct(members) => {
            let members: Vec<_> =
                members.iter().map(|member| format!("`{}` {}", member.name(), item_of(member))).collect();
            format!("Tuple({})", members.join(", "))
        }
        DataType::Utf8 => or_null(item, "String"),
        DataType::Boolean => or_null(item, "Bool"),
        other => or_null(item, &other.to_string()),
    }
}

fn or_null(column: &Arrow, kind: &str) -> String {
    if column.is_nullable() { format!("Nullable({kind})") } else { kind.to_owned() }
}

/// As ClickHouse wants names.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// `WEIR_BLESS=1` writes it anew.
    #[test]
    fn the_committed_schema_is_that_of_the_exporter() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/clickhouse/schema.sql");
        let head = "-- What `--export clickhouse://HOST/weir` makes where it is not there yet. Generated by `make generate`: change\n\
                    -- your tables as you like, and say create=no; columns are known by their names.\n\n";
        let made: Vec<_> = statements("weir").into_iter().filter(|one| !one.starts_with("ALTER")).collect();
        let wanted = format!("{head}{};\n", made.join(";\n\n"));
        if std::env::var_os("WEIR_BLESS").is_some() {
            fs::write(path, &wanted).expect("deploy/clickhouse/schema.sql can be written");
        }
        let committed = fs::read_to_string(path).expect("deploy/clickhouse/schema.sql is there");
        assert!(
            committed == wanted,
            "deploy/clickhouse/schema.sql is not the exporter's: run `make generate`"
        );
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a`b\\"), "`a\\`b\\\\`");
    }
}
