//! The live view on a terminal, the rows in a pipe, and the balance at the end.

use crate::table::{self, ALARM, Align, Column, FINE, QUIET};
use crate::text;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;
use weir_agent::{Agent, Books, LiveFlow, Notify, Sink};
use weir_record::{Account, Count, FlowKey, FlowRecord};

const COLUMNS: [Column; 9] = [
    ("IFACE", Align::Left),
    ("DIR", Align::Left),
    ("PROTO", Align::Left),
    ("SOURCE", Align::Left),
    ("DESTINATION", Align::Left),
    ("PACKETS", Align::Right),
    ("BYTES", Align::Right),
    ("BIT/S", Align::Right),
    ("AGE", Align::Right),
];

/// What an 80-column terminal can do without.
const EXPENDABLE: [&str; 2] = ["AGE", "PACKETS"];

/// More than any terminal has lines.
const MOST_ROWS: usize = 200;

/// What one redraw shows.
struct Frame {
    rows: Vec<Vec<String>>,
    flows: usize,
    seen: Count,
    lost: Count,
    balanced: bool,
    foot: Option<String>,
}

/// Redraws from a thread of its own: a terminal that is held (Ctrl-S) does not hold the drain.
pub struct LiveView {
    frames: SyncSender<Frame>,
    interval: Duration,
    notices: (Sender<String>, Receiver<String>),
    foot: RefCell<Option<String>>,
}

impl LiveView {
    /// Starts with the next [`show`](Self::show).
    pub fn new(interval: Duration) -> io::Result<Self> {
        let (frames, inbox) = sync_channel::<Frame>(1);
        std::thread::Builder::new().name("weir-view".into()).spawn(move || {
            let mut first = true;
            for frame in inbox {
                if draw(&frame, first).is_err() {
                    return;
                }
                first = false;
            }
        })?;
        Ok(Self { frames, interval, notices: channel(), foot: RefCell::new(None) })
    }

    /// The agent's own lines go to the foot of the view, the last one stays.
    pub fn foot(&self) -> Notify {
        let notices = self.notices.0.clone();
        Box::new(move |line| {
            let _ = notices.send(line);
        })
    }

    /// Shows the agent as it is now; if the last frame is still being drawn, this one is left out.
    pub fn show(&self, agent: &Agent) {
        let books = agent.books();
        let rows = agent.busiest(MOST_ROWS).iter().map(|live| live_row(live, books, self.interval)).collect();
        if let Some(last) = self.notices.1.try_iter().last() {
            self.foot.replace(Some(last));
        }
        let frame = Frame {
            foot: self.foot.borrow().clone(),
            rows,
            flows: agent.flow_count(),
            seen: total(books, |account| account.seen),
            lost: total(books, Account::lost_total),
            balanced: books.accounts().all(Account::is_balanced),
        };
        match self.frames.try_send(frame) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

fn total(books: &Books, of: impl Fn(&Account) -> Count) -> Count {
    let mut sum = Count::default();
    books.accounts().for_each(|account| sum += of(account));
    sum
}

fn draw(frame: &Frame, first: bool) -> io::Result<()> {
    let size = terminal_size::terminal_size();
    let (width, height) =
        size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
    let (columns, rows) = table::narrow(&COLUMNS, &frame.rows, width, &EXPENDABLE);
    let mut lines = table::render(&columns, &rows, width);
    // The head, the foot, and the line that the cursor stands on.
    lines.truncate(height.saturating_sub(2 + usize::from(frame.foot.is_some())));
    let mut screen = String::from(if first { "\x1b[2J\x1b[H" } else { "\x1b[H" });
    let _ = write!(screen, "{}\x1b[K\r\n", head(frame, width));
    for line in &lines {
        let _ = write!(screen, "{line}\x1b[K\r\n");
    }
    if let Some(foot) = &frame.foot {
        let foot: String = foot.chars().take(width).collect();
        let _ = write!(screen, "{ALARM}{foot}{ALARM:#}\x1b[K\r\n");
    }
    screen.push_str("\x1b[J");
    let mut out = anstream::stdout().lock();
    out.write_all(screen.as_bytes())?;
    out.flush()
}

fn head(frame: &Frame, width: usize) -> String {
    let counted = format!(
        "{} flows  {} packets  {} seen  ",
        text::grouped(frame.flows as u64),
        text::grouped(frame.seen.packets),
        text::bytes(frame.seen.bytes)
    );
    let (style, verdict) = match (frame.balanced, frame.lost.packets) {
        (true, 0) => (FINE, "none lost, the books balance".to_string()),
        (true, lost) => (ALARM, format!("{} lost, the books balance", text::grouped(lost))),
        (false, _) => (ALARM, "the books do not balance: this is a bug".to_string()),
    };
    let verdict: String = verdict.chars().take(width.saturating_sub(counted.chars().count())).collect();
    format!("{counted}{style}{verdict}{style:#}")
}

fn live_row(live: &LiveFlow, books: &Books, interval: Duration) -> Vec<String> {
    let (place, flow) = (&live.place, &live.flow);
    let account = books.account(place.point);
    let (interface, direction) = account.map_or(("?".to_string(), "?"), |account| {
        (account.interface.to_string(), account.direction.as_str())
    });
    let age = Duration::from_nanos(flow.end.saturating_sub(flow.start));
    let mut row = first_cells(interface, direction, &place.key);
    row.extend([
        text::count(flow.count.packets),
        text::bytes(flow.count.bytes),
        rate(flow.recent.bytes, interval),
        text::time(age),
    ]);
    row
}

fn record_row(record: &FlowRecord) -> Vec<String> {
    let age = Duration::from_nanos(record.end.saturating_sub(record.start));
    let mut row = first_cells(record.interface.to_string(), record.direction.as_str(), &record.key);
    row.extend([
        text::count(record.packets),
        text::bytes(record.bytes),
        if age.is_zero() { "-".into() } else { rate(record.bytes, age) },
        text::time(age),
    ]);
    row
}

fn rate(bytes: u64, time: Duration) -> String {
    if bytes == 0 { "-".into() } else { text::bit_rate(bytes, time) }
}

fn first_cells(interface: String, direction: &str, key: &FlowKey) -> Vec<String> {
    let direction = if direction == "ingress" { "in" } else { "out" };
    let ports = key.ports();
    let (source, destination) = match key.addresses() {
        Some((source, destination)) => {
            (end(source, ports.map(|p| p.0)), end(destination, ports.map(|p| p.1)))
        }
        None => ("-".to_string(), "-".to_string()),
    };
    vec![interface, direction.into(), protocol(key), source, destination]
}

fn protocol(key: &FlowKey) -> String {
    match (key.protocol_text(), key.icmp()) {
        (Some(name), Some((kind, code))) => format!("{name} {kind}/{code}"),
        (Some(name), None) => name.into_owned(),
        (None, _) => match key.ethertype() {
            0x0806 => "arp".into(),
            0x0004 => "802.2".into(),
            0x88cc => "lldp".into(),
            other => format!("0x{other:04x}"),
        },
    }
}

fn end(address: IpAddr, port: Option<u16>) -> String {
    match (address, port) {
        (address, None) => address.to_string(),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
    }
}

/// Records as rows, as they end: what `-o table` is in a pipe.
pub struct Rows {
    titled: bool,
}

impl Rows {
    /// Titles come with the first record.
    pub fn new() -> Self {
        Self { titled: false }
    }
}

impl Sink for Rows {
    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let rows: Vec<_> = records.iter().map(record_row).collect();
        let lines = table::render(&COLUMNS, &rows, usize::MAX);
        let mut out = anstream::AutoStream::auto(io::stdout()).lock();
        for line in lines.iter().skip(usize::from(self.titled)) {
            writeln!(out, "{line}")?;
        }
        self.titled = true;
        out.flush()
    }

    fn finish(&mut self, _accounts: &[Account]) -> io::Result<()> {
        Ok(())
    }
}

/// Records that nobody wants to read: counted, and gone.
pub struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _records: &[FlowRecord]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _accounts: &[Account]) -> io::Result<()> {
        Ok(())
    }
}

/// The books in a few lines, on standard error.
pub fn print_balance(books: &Books) {
    let seen = total(books, |account| account.seen);
    let exported = total(books, |account| account.exported);
    let lost = total(books, Account::lost_total);
    let balanced = books.accounts().all(Account::is_balanced);
    let mut out = anstream::stderr().lock();
    let (style, verdict) = if balanced {
        (FINE, "the books balance")
    } else {
        (ALARM, "the books do not balance: this is a bug")
    };
    let _ = writeln!(
        out,
        "weir: {} packets ({}) seen = {} exported + {} lost: {style}{verdict}{style:#}",
        text::grouped(seen.packets),
        text::bytes(seen.bytes),
        text::grouped(exported.packets),
        text::grouped(lost.packets),
    );
    for account in books.accounts().filter(|account| !account.lost.is_empty() || !account.is_balanced()) {
        for (cause, count) in &account.lost {
            let _ = writeln!(
                out,
                "weir: {} {}: {ALARM}{} packets lost{ALARM:#}: {}: {QUIET}{}{QUIET:#}",
                account.interface,
                account.direction.as_str(),
                text::grouped(count.packets),
                cause.as_str(),
                cause.remedy(),
            );
        }
    }
}
