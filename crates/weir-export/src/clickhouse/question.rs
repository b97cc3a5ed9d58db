//! A question as ClickHouse is asked it. Its `WHERE` holds whatever fits and may hold more: what comes is looked at again
//! here. So what has no exact counterpart in SQL is left out.

use super::schema::quoted;
use arrow_schema::{DataType, Schema};
use std::fmt::Display;
use std::ops::RangeInclusive;
use weir_filter::{AddressSet, Bits, Check, Expression, Pattern, Test};
use weir_record::{Field, Kind, protocol_text, set_bits};
use weir_store::Question;

/// Bytes of what is asked of one column, and of all: ClickHouse takes questions of 256 KiB. What is longer is looked at here.
const LONGEST: [usize; 2] = [32 << 10, 128 << 10];
/// What answers are to look like, that of a record that is there twice one is told, and that an answer that somebody's
/// limits cut short is none.
pub const SETTINGS: &str = "SETTINGS final = 1, result_overflow_mode = 'throw', read_overflow_mode = 'throw', \
                            timeout_overflow_mode = 'throw', output_format_arrow_compression_method = 'none', \
                            output_format_arrow_string_as_string = 1, \
                            output_format_arrow_low_cardinality_as_dictionary = 0 FORMAT ArrowStream";

/// A table, as far as it is asked.
pub struct Asked<'t> {
    /// Its name, quoted.
    pub table: &'t str,
    /// What it has.
    pub columns: &'t Schema,
    /// Whose records; everybody's without any.
    pub hosts: &'t [String],
}

impl Asked<'_> {
    /// The rows that may fit, and of them what it takes to see whether they do.
    pub fn rows(&self, question: &Question) -> String {
        let takes = question.takes();
        let columns = takes.fields().iter().map(|field| field.name().as_str()).filter(|name| self.has(name));
        let columns = columns.map(quoted).collect::<Vec<_>>().join(", ");
        let filter = question.filter.as_ref().and_then(|filter| self.may(filter.expression()));
        let filter = filter.filter(|text| text.len() <= LONGEST[1]);
        let conditions: Vec<_> =
            times(&question.times).into_iter().chain(self.host()).chain(filter).collect();
        format!("SELECT {columns} FROM {}{} {SETTINGS}", self.table, wherever(&conditions))
    }

    /// When the first one ended, and the last one; no row where there is none.
    pub fn times(&self) -> String {
        let conditions: Vec<_> = self.host().into_iter().collect();
        format!(
            "SELECT min(t.`end`) AS `start`, max(t.`end`) AS `end` FROM {} AS t{} HAVING count() > 0 {SETTINGS}",
            self.table,
            wherever(&conditions)
        )
    }

    fn has(&self, column: &str) -> bool {
        self.columns.field_with_name(column).is_ok()
    }

    fn host(&self) -> Option<String> {
        let hosts: Vec<_> = self.hosts.iter().map(|host| text(host)).collect();
        (!hosts.is_empty()).then(|| format!("host IN ({})", hosts.join(", ")))
    }

    /// What holds of all rows that match, and maybe of others; none where that is nothing.
    fn may(&self, expression: &Expression) -> Option<String> {
        match expression {
            Expression::And(parts) => {
                let parts: Vec<_> = parts.iter().filter_map(|part| self.may(part)).collect();
                (!parts.is_empty()).then(|| joined(&parts, " AND "))
            }
            Expression::Or(parts) => {
                let parts = parts.iter().map(|part| self.may(part)).collect::<Option<Vec<_>>>()?;
                Some(joined(&parts, " OR "))
            }
            Expression::Not(_) | Expression::Test(_) => self.exactly(expression),
        }
    }

    /// What holds of the rows that match, and of no others; none where that cannot be said.
    fn exactly(&self, expression: &Expression) -> Option<String> {
        let all = |parts: &[Expression], word| {
            let parts = parts.iter().map(|part| self.exactly(part)).collect::<Option<Vec<_>>>()?;
            Some(joined(&parts, word))
        };
        match expression {
            Expression::And(parts) => all(parts, " AND "),
            Expression::Or(parts) => all(parts, " OR "),
            Expression::Not(inner) => self.exactly(inner).map(|inner| format!("NOT {inner}")),
            Expression::Test(test) => self.test(test),
        }
    }

    fn test(&self, test: &Test) -> Option<String> {
        let parts =
            test.subject.fields().map(|field| self.field(field, &test.check)).collect::<Option<Vec<_>>>()?;
        Some(joined(&parts, " OR "))
    }

    /// A test of one column: yes or no, never null.
    fn field(&self, field: &Field, check: &Check) -> Option<String> {
        let takes = Question { columns: Some(vec![field.name]), ..Question::default() }.takes();
        // It follows from others: see there.
        let kind = takes.field_with_name(field.name).ok()?.data_type();
        let Ok(column) = self.columns.field_with_name(field.name) else {
            return Some(u8::from(*check == Check::Absent).to_string());
        };
        if column.data_type() != kind {
            return None;
        }
        let name = quoted(field.name);
        let condition = match check {
            Check::Absent if matches!(kind, DataType::List(_)) => return None,
            Check::Absent => return Some(format!("isNull({name})")),
            Check::Within(spans) if field.kind == Kind::Text => {
                let numbers = (0..=u8::MAX).filter(|number| spans.contains((*number).into()));
                either(&name, numbers.map(|number| text(protocol_text(number))))
            }
            Check::Within(spans) if field.kind == Kind::Time => {
                within(&format!("toUnixTimestamp64Nano({name})"), spans.iter())
            }
            Check::Within(spans) => within(&name, spans.iter()),
            Check::Addresses(set) => addresses(&name, set),
            Check::Text(patterns) => {
                let patterns =
                    patterns.iter().map(|pattern| fits(&name, pattern)).collect::<Option<Vec<_>>>()?;
                joined(&patterns, " OR ")
            }
            Check::Bits(how, mask) => bits(&name, kind, *how, *mask)?,
            Check::Flag(flag) => format!("{name} = {flag}"),
        };
        Some(format!("ifNull({condition}, false)")).filter(|text| text.len() <= LONGEST[0])
    }
}

fn wherever(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

fn joined(parts: &[String], word: &str) -> String {
    format!("({})", parts.join(word))
}

/// Those that ended then; what ends after the year 2262 does so at its end.
fn times(times: &RangeInclusive<u64>) -> Option<String> {
    let time = |nanos: u64| format!("fromUnixTimestamp64Nano(toInt64({}))", nanos.min(i64::MAX as u64));
    let first = (*times.start() > 0).then(|| format!("`end` >= {}", time(*times.start())));
    let last = (*times.end() < i64::MAX as u64).then(|| format!("`end` <= {}", time(*times.end())));
    let both: Vec<_> = first.into_iter().chain(last).collect();
    (!both.is_empty()).then(|| both.join(" AND "))
}

/// As ClickHouse writes text.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn either(name: &str, values: impl Iterator<Item = String>) -> String {
    let values = values.collect::<Vec<_>>().join(", ");
    if values.is_empty() { "false".into() } else { format!("{name} IN ({values})") }
}

/// In one of these ranges, of numbers or what is written like them.
fn within<T: PartialEq + Display>(name: &str, spans: impl Iterator<Item = (T, T)>) -> String {
    let span = |(first, last): (T, T)| match first == last {
        true => format!("{name} = {first}"),
        false => format!("({name} >= {first} AND {name} <= {last})"),
    };
    let spans: Vec<_> = spans.map(span).collect();
    if spans.is_empty() { "false".into() } else { joined(&spans, " OR ") }
}

/// Addresses are text: their numbers are compared, of one family each.
fn addresses(name: &str, set: &AddressSet) -> String {
    let v6 = |bits: u128| format!("toIPv6('{}')", std::net::Ipv6Addr::from(bits));
    let is_v6 = format!("position({name}, ':') > 0");
    let v4 = within(&format!("IPv4StringToNumOrNull({name})"), set.v4.iter());
    let ranges = set.v6.iter().map(|(first, last)| (v6(first), v6(last)));
    let v6 = within(&format!("toIPv6OrNull({name})"), ranges);
    format!("if({is_v6}, {v6}, {v4})")
}

/// A glob as a pattern of LIKE, where it has nothing else.
fn fits(name: &str, pattern: &Pattern) -> Option<String> {
    match pattern {
        Pattern::Exact(exact) => Some(format!("{name} = {}", text(exact))),
        Pattern::Glob(glob) if glob.as_str().contains('[') || glob.as_str().contains("**") => None,
        Pattern::Glob(glob) => {
            let like: String = glob.as_str().chars().map(like).collect();
            Some(format!("{name} LIKE {}", text(&like)))
        }
    }
}

fn like(letter: char) -> String {
    match letter {
        '*' => "%".into(),
        '?' => "_".into(),
        '%' | '_' | '\\' => format!("\\{letter}"),
        other => other.into(),
    }
}

/// A list that is empty is one without bits, or none.
fn bits(name: &str, kind: &DataType, how: Bits, mask: u64) -> Option<String> {
    if matches!(kind, DataType::List(_)) {
        let numbers: Vec<_> = set_bits(mask).map(|bit| bit.to_string()).collect();
        if numbers.is_empty() {
            return None;
        }
        let (count, numbers) = (numbers.len(), numbers.join(", "));
        return Some(match how {
            Bits::All => format!("hasAll({name}, [{numbers}])"),
            Bits::Any => format!("hasAny({name}, [{numbers}])"),
            Bits::Exactly => format!("(hasAll({name}, [{numbers}]) AND length({name}) = {count})"),
        });
    }
    Some(match how {
        Bits::All => format!("bitAnd({name}, {mask}) = {mask}"),
        Bits::Any => format!("bitAnd({name}, {mask}) != 0"),
        Bits::Exactly => format!("{name} = {mask}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_store::Table;

    fn asked(filter: &str) -> String {
        let columns = Table::flows().schema();
        let asked = Asked { table: "`weir`.flows", columns, hosts: &["a'b".into()] };
        let filter = Some(Arc::new(filter.parse().expect(filter)));
        let question = Question { filter, columns: Some(vec!["bytes"]), ..Question::default() };
        let sql = asked.rows(&question);
        let (_, conditions) = sql.split_once(" WHERE host IN ('a\\'b')").expect("the host");
        conditions.split(" SETTINGS").next().expect("conditions").trim_start_matches(" AND ").to_owned()
    }

    #[test]
    fn what_is_text_stays_text() {
        assert_eq!(
            asked(r#"source_process == "x' OR 1=1 --\\""#),
            r"(ifNull((`source_process` = 'x\' OR 1=1 --\\'), false))"
        );
        assert_eq!(asked("interface == a_*"), r"(ifNull((`interface` LIKE 'a\\_%'), false))");
    }

    /// In a sum of conditions all have to be known, in a product those that are.
    #[test]
    fn what_has_no_counterpart_is_left_out() {
        let port = "(ifNull((`source_port` = 22), false) OR ifNull((`destination_port` = 22), false))";
        assert_eq!(asked("port == 22 and interface == a[bc]*"), format!("({port})"));
        assert_eq!(asked("not port == 22 and interface == a[bc]*"), format!("(NOT {port})"));
        assert_eq!(asked("port == 22 or interface == a[bc]*"), "");
        assert_eq!(asked("not (port == 22 and interface == a[bc]*)"), "");
        assert_eq!(asked("community_id == x"), "");
    }

    /// However much is asked (these networks do not touch), the question is one that ClickHouse takes; what is left out of it is little.
    #[test]
    fn questions_have_an_end() {
        let networks: Vec<_> = (0..2000).map(|number| format!("2001:db8:{:x}::/48", 2 * number)).collect();
        let many = format!("address in {}", networks.join(","));
        assert_eq!(asked(&many), "");
        assert_eq!(asked(&format!("{many} and vlan == 7")), "((ifNull((`vlan` = 7), false)))");
        let sum: Vec<_> =
            (0..9000).map(|port| format!("(source_port == {port} and vlan == {})", port % 4000)).collect();
        assert!(asked(&sum.join(" or ")).len() < 2 * LONGEST[1]);
    }

    #[test]
    fn what_a_table_does_not_have_is_null() {
        let columns = Schema::empty();
        let asked = Asked { table: "t", columns: &columns, hosts: &[] };
        let of = |filter: &str| {
            asked.may(filter.parse::<weir_filter::Filter>().expect(filter).expression()).expect("known")
        };
        assert_eq!((of("vlan == null"), of("vlan == 1")), ("(1)".into(), "(0)".into()));
    }
}
