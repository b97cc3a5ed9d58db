//! The ledger minute by minute, for those who ask later what was missed when.

use super::{Account, Cause, Count};
use crate::Layer;
use crate::field::{Kind, Unit};
use crate::value::Value;
use std::sync::Arc;

/// What became of the packets of an observation point in a window of time. `held` and `ahead` are as they are at its
/// end; over any run of windows `seen + ahead = exported + filtered + sampled_out + lost + held`, less what was held
/// and ahead before the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerWindow {
    /// When it began, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// What was added meanwhile.
    pub added: Account,
}

/// A column of the table of windows.
pub struct LedgerColumn {
    /// Its name.
    pub name: &'static str,
    /// What kind of value it holds.
    pub kind: Kind,
    /// What its number counts.
    pub unit: Unit,
    /// Whether it came later than others: it is null in files from before.
    pub is_later: bool,
    /// What it says.
    pub doc: &'static str,
    /// Reads it.
    pub read: fn(&LedgerWindow) -> Value<'_>,
}

/// Two columns: packets and bytes.
macro_rules! counted {
    ($packets:literal, $bytes:literal, $doc:literal, $of:expr) => {
        [
            LedgerColumn {
                name: $packets,
                kind: Kind::Number,
                unit: Unit::Packets,
                is_later: false,
                doc: $doc,
                read: |window| {
                    let of: fn(&Account) -> Count = $of;
                    Value::Number(of(&window.added).packets)
                },
            },
            LedgerColumn {
                name: $bytes,
                kind: Kind::Number,
                unit: Unit::Bytes,
                is_later: false,
                doc: $doc,
                read: |window| {
                    let of: fn(&Account) -> Count = $of;
                    Value::Number(of(&window.added).bytes)
                },
            },
        ]
    };
}

fn lost(account: &Account, cause: Cause) -> Count {
    account.lost.get(&cause).copied().unwrap_or_default()
}

/// Where and when.
static WHERE: [LedgerColumn; 7] = [
    time("start", "When the window began.", |window| Value::Time(window.start)),
    time("end", "When it ended.", |window| Value::Time(window.end)),
    text("netns", "Network namespace of the interface.", |window| {
        Value::Text((&*window.added.interface.netns).into())
    }),
    text("interface", "Where packets were observed.", |window| {
        Value::Text(window.added.interface.name.as_str().into())
    }),
    LedgerColumn {
        name: "interface_index",
        kind: Kind::Number,
        unit: Unit::None,
        is_later: false,
        doc: "The kernel's number of it.",
        read: |window| Value::Number(window.added.interface.index.into()),
    },
    text("direction", "As the interface sees it: ingress or egress.", |window| {
        Value::Text(window.added.direction.as_str().into())
    }),
    LedgerColumn {
        name: "decapsulated",
        kind: Kind::Flag,
        unit: Unit::None,
        is_later: false,
        doc: "Whether these are packets that a tunnel carried.",
        read: |window| Value::Flag(window.added.layer == Layer::Inner),
    },
];

type Read = fn(&LedgerWindow) -> Value<'_>;

const fn time(name: &'static str, doc: &'static str, read: Read) -> LedgerColumn {
    LedgerColumn { name, kind: Kind::Time, unit: Unit::Time, is_later: false, doc, read }
}

const fn text(name: &'static str, doc: &'static str, read: Read) -> LedgerColumn {
    LedgerColumn { name, kind: Kind::Text, unit: Unit::None, is_later: false, doc, read }
}

/// The same of columns that came later.
const fn later([packets, bytes]: [LedgerColumn; 2]) -> [LedgerColumn; 2] {
    [LedgerColumn { is_later: true, ..packets }, LedgerColumn { is_later: true, ..bytes }]
}

/// How much.
static COUNTED: [[LedgerColumn; 2]; 13] = [
    counted!("seen_packets", "seen_bytes", "Every packet that the probe met.", |account| account.seen),
    counted!("exported_packets", "exported_bytes", "In records that an output has taken.", |account| account
        .exported),
    counted!("filtered_packets", "filtered_bytes", "Not wanted by the rules.", |account| account.filtered),
    counted!("sampled_out_packets", "sampled_out_bytes", "Passed over by sampling.", |account| account
        .sampled_out),
    counted!("held_packets", "held_bytes", "Counted and in no record yet, as of the end.", |account| account
        .held),
    counted!(
        "ahead_packets",
        "ahead_bytes",
        "In records before they were seen in the counters, as of the end.",
        |account| account.ahead
    ),
    counted!("lost_packets", "lost_bytes", "In no record, for whatever cause.", Account::lost_total),
    counted!(
        "lost_spill_ring_full_packets",
        "lost_spill_ring_full_bytes",
        "The map was full, and so was the ring behind it.",
        |account| { lost(account, Cause::SpillRingFull) }
    ),
    counted!(
        "lost_nested_spill_ring_full_packets",
        "lost_nested_spill_ring_full_bytes",
        "The same of packets that a tunnel carried.",
        |account| { lost(account, Cause::NestedSpillRingFull) }
    ),
    counted!(
        "lost_sink_queue_full_packets",
        "lost_sink_queue_full_bytes",
        "No output had room for the record.",
        |account| { lost(account, Cause::SinkQueueFull) }
    ),
    counted!(
        "lost_sink_failed_packets",
        "lost_sink_failed_bytes",
        "No output could write the record.",
        |account| lost(account, Cause::SinkFailed)
    ),
    counted!(
        "lost_sink_closed_packets",
        "lost_sink_closed_bytes",
        "No output was there any more.",
        |account| lost(account, Cause::SinkClosed)
    ),
    later(counted!(
        "lost_agent_killed_packets",
        "lost_agent_killed_bytes",
        "Held by an agent that did not stop in order, or not read by it any more.",
        |account| lost(account, Cause::AgentKilled)
    )),
];

impl LedgerWindow {
    /// Its columns, in order.
    pub fn columns() -> impl Iterator<Item = &'static LedgerColumn> {
        WHERE.iter().chain(COUNTED.iter().flatten())
    }

    /// From what the account was, or nothing, to what it is; none where nothing has happened.
    pub fn between((start, end): (u64, u64), before: Option<&Account>, now: &Account) -> Option<Self> {
        let nothing = Account::new(Arc::clone(&now.interface), now.direction, now.layer);
        let before = before.unwrap_or(&nothing);
        let has_happened = now.seen != before.seen
            || now.exported != before.exported
            || now.held != before.held
            || now.lost != before.lost;
        has_happened.then(|| Self { start, end, added: added(before, now) })
    }

    /// The same where something is still held, too: what becomes of that is not said yet.
    pub fn open((start, end): (u64, u64), before: Option<&Account>, now: &Account) -> Option<Self> {
        let is_held = now.held != Count::default();
        let waiting = || Self { start, end, added: added(before.unwrap_or(now), now) };
        Self::between((start, end), before, now).or_else(|| is_held.then(waiting))
    }
}

/// What has come to an account since.
fn added(before: &Account, now: &Account) -> Account {
    let mut added = now.clone();
    added.seen -= before.seen;
    added.exported -= before.exported;
    added.filtered -= before.filtered;
    added.sampled_out -= before.sampled_out;
    for (cause, count) in &before.lost {
        *added.lost.entry(*cause).or_default() -= *count;
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Interface, InterfaceKind};

    fn account(seen: u64, exported: u64, lost: u64) -> Account {
        let (name, netns) = ("eth0".into(), "1".into());
        let interface = Interface { name, index: 2, netns, own_netns: true, kind: InterfaceKind::Physical };
        let mut account = Account::new(Arc::new(interface), Direction::Ingress, Layer::Outer);
        let count = |packets| Count { packets, bytes: 60 * packets };
        (account.seen, account.exported) = (count(seen), count(exported));
        account.held = count(seen - exported - lost);
        if lost > 0 {
            account.lost.insert(Cause::SinkFailed, count(lost));
        }
        account
    }

    fn numbers(window: &LedgerWindow) -> Vec<(&'static str, u64)> {
        LedgerWindow::columns()
            .filter_map(|column| match (column.read)(window) {
                Value::Number(number) if column.unit == Unit::Packets && number > 0 => {
                    Some((column.name, number))
                }
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_window_has_what_was_added() {
        let (before, now) = (account(10, 5, 0), account(25, 15, 4));
        let window = LedgerWindow::between((1, 2), Some(&before), &now).expect("something has happened");
        let expected = [
            ("seen_packets", 15),
            ("exported_packets", 10),
            ("held_packets", 6),
            ("lost_packets", 4),
            ("lost_sink_failed_packets", 4),
        ];
        assert_eq!(numbers(&window), expected);
        assert_eq!(LedgerWindow::between((2, 3), Some(&now), &now), None);
    }

    #[test]
    fn an_open_window_has_what_is_held_though_nothing_happens() {
        let (now, done) = (account(25, 15, 4), account(25, 25, 0));
        let window = LedgerWindow::open((2, 3), Some(&now), &now).expect("something is held");
        assert_eq!(numbers(&window), [("held_packets", 6)]);
        assert_eq!(LedgerWindow::open((2, 3), Some(&done), &done), None);
    }

    #[test]
    fn every_cause_has_its_columns() {
        for cause in Cause::ALL {
            let mut now = account(0, 0, 0);
            now.lost.insert(cause, Count { packets: 3, bytes: 180 });
            let window = LedgerWindow::between((1, 2), None, &now).expect("something was lost");
            let name = format!("lost_{}_packets", cause.as_str());
            assert!(numbers(&window).iter().any(|(column, lost)| *column == name && *lost == 3), "{cause:?}");
        }
    }
}
