//! The live view on a terminal, the rows in a pipe, and the balance at the end.

use crate::columns::Columns;
use crate::table::{self, ALARM, FINE, QUIET};
use crate::text;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;
use weir_agent::{Agent, Books, Closing, Flows, LOST_EVENTS, LiveFlow, Notify, Sink};
use weir_record::{Account, Count, FlowRecord};

/// More than any terminal has lines.
const MOST_ROWS: usize = 200;

/// What one redraw shows.
struct Frame {
    rows: Vec<Vec<String>>,
    summary: Summary,
    foot: Option<String>,
}

/// What the books say in one line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    flows: u64,
    seen: Count,
    lost: Count,
    unbalanced: bool,
}

impl Summary {
    /// Of these books, and of so many conversations.
    pub fn of(books: &Books, flows: usize) -> Self {
        Self {
            flows: flows as u64,
            seen: total(books, |account| account.seen),
            lost: total(books, Account::lost_total),
            unbalanced: !books.accounts().all(Account::is_balanced),
        }
    }

    /// As an agent tells.
    pub fn told(flows: &Flows) -> Self {
        let Flows { flows, seen, lost, balanced, .. } = *flows;
        Self { flows, seen, lost, unbalanced: !balanced }
    }

    /// How much was counted.
    pub fn counted(&self) -> String {
        let (packets, bytes) = (text::grouped(self.seen.packets), text::bytes(self.seen.bytes));
        format!("{} flows  {packets} packets  {bytes} seen  ", text::grouped(self.flows))
    }

    /// Whether that was all.
    pub fn verdict(&self) -> String {
        match (self.unbalanced, self.lost.packets) {
            (false, 0) => "none lost, the books balance".to_string(),
            (false, lost) => format!("{} lost, the books balance", text::grouped(lost)),
            (true, _) => "the books do not balance: this is a bug".to_string(),
        }
    }

    /// Whether nothing needs a person.
    pub fn is_fine(&self) -> bool {
        !self.unbalanced && self.lost.packets == 0
    }
}

/// Redraws from a thread of its own: a terminal that is held (Ctrl-S) does not hold the drain.
pub struct LiveView {
    frames: SyncSender<Frame>,
    columns: Columns,
    notices: (Sender<String>, Receiver<String>),
    foot: RefCell<Option<String>>,
}

impl LiveView {
    /// Starts with the next [`show`](Self::show), below the lines of `banner`.
    pub fn new(columns: Columns, banner: Vec<String>) -> io::Result<Self> {
        let (frames, inbox) = sync_channel::<Frame>(1);
        std::thread::Builder::new().name("weir-view".into()).spawn(move || {
            let mut first = true;
            for frame in inbox {
                if draw(&frame, columns, &banner, first).is_err() {
                    return;
                }
                first = false;
            }
        })?;
        Ok(Self { frames, columns, notices: channel(), foot: RefCell::new(None) })
    }

    /// The agent's own lines go to the foot of the view, the last one stays.
    pub fn foot(&self) -> Notify {
        let notices = self.notices.0.clone();
        Box::new(move |line| {
            let _ = notices.send(line);
        })
    }

    /// Shows the agent as it is now; if the last frame is still being drawn, this one is left out.
    pub fn show(&self, agent: &mut Agent) {
        let (busiest, interval) = (agent.busiest(MOST_ROWS), agent.last_interval());
        let books = agent.books();
        let cells = |live: &LiveFlow| (self.columns.cells)(&live.record, (live.recent_bytes, interval));
        let rows = busiest.iter().map(cells).collect();
        if let Some(last) = self.notices.1.try_iter().last() {
            self.foot.replace(Some(last));
        }
        let frame =
            Frame { foot: self.foot.borrow().clone(), rows, summary: Summary::of(books, agent.flow_count()) };
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

fn draw(frame: &Frame, columns: Columns, banner: &[String], first: bool) -> io::Result<()> {
    let size = terminal_size::terminal_size();
    let (width, height) =
        size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
    let (columns, rows) = table::narrow(columns.titles, &frame.rows, width, columns.expendable);
    let mut lines = table::render(&columns, &rows, width);
    // A banner takes half of the screen at most.
    let banner = if banner.len() <= height / 2 { banner } else { &[] };
    // The head, the foot, and the line that the cursor stands on.
    lines.truncate(height.saturating_sub(2 + usize::from(frame.foot.is_some()) + banner.len()));
    let mut screen = String::from(if first { "\x1b[2J\x1b[H" } else { "\x1b[H" });
    for line in banner {
        let line = table::start(line, width);
        let _ = write!(screen, "{QUIET}{line}{QUIET:#}\x1b[K\r\n");
    }
    let _ = write!(screen, "{}\x1b[K\r\n", head(&frame.summary, width));
    for line in &lines {
        let _ = write!(screen, "{line}\x1b[K\r\n");
    }
    if let Some(foot) = &frame.foot {
        let foot = table::start(foot, width);
        let _ = write!(screen, "{ALARM}{foot}{ALARM:#}\x1b[K\r\n");
    }
    screen.push_str("\x1b[J");
    let mut out = anstream::stdout().lock();
    out.write_all(screen.as_bytes())?;
    out.flush()
}

fn head(summary: &Summary, width: usize) -> String {
    let counted = summary.counted();
    let style = if summary.is_fine() { FINE } else { ALARM };
    let verdict = summary.verdict();
    let verdict = table::start(&verdict, width.saturating_sub(table::width(&counted)));
    format!("{counted}{style}{verdict}{style:#}")
}

/// Records as rows, as they end: what `-o table` is in a pipe.
pub struct Rows {
    columns: Columns,
    titled: bool,
}

impl Rows {
    /// Titles come with the first record.
    pub fn new(columns: Columns) -> Self {
        Self { columns, titled: false }
    }
}

impl Sink for Rows {
    fn name(&self) -> &str {
        "table"
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let cells = |record: &FlowRecord| (self.columns.cells)(record, average(record));
        let rows: Vec<_> = records.iter().map(cells).collect();
        let lines = table::render(self.columns.titles, &rows, usize::MAX);
        let mut out = anstream::AutoStream::auto(io::stdout()).lock();
        for line in lines.iter().skip(usize::from(self.titled)) {
            writeln!(out, "{line}")?;
        }
        self.titled = true;
        out.flush()
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        Ok(())
    }
}

/// All bytes of a record, and the time that it took.
fn average(record: &FlowRecord) -> (u64, Duration) {
    let bytes = record.bytes + record.reverse.map_or(0, |reverse| reverse.count.bytes);
    (bytes, Duration::from_nanos(record.end.saturating_sub(record.start)))
}

/// Records that nobody wants to read: counted, and gone.
pub struct Nowhere;

impl Sink for Nowhere {
    fn name(&self) -> &str {
        "none"
    }

    fn write(&mut self, _records: &[FlowRecord]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        Ok(())
    }
}

/// What has become of the packets. Filtered and sampled out are named where something was.
fn outcomes(books: &Books) -> String {
    let part = |of: fn(&Account) -> Count, what: &str, always: bool| match total(books, of).packets {
        0 if !always => None,
        packets => Some(format!("{} {what}", text::grouped(packets))),
    };
    let parts = [
        part(|account| account.exported, "exported", true),
        part(|account| account.held, "held", false),
        part(|account| account.filtered, "filtered", false),
        part(|account| account.sampled_out, "sampled out", false),
        part(Account::lost_total, "lost", true),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" + ")
}

/// The books in a few lines, on standard error.
pub fn print_balance(books: &Books) {
    let seen = total(books, |account| account.seen);
    let balanced = books.accounts().all(Account::is_balanced);
    let mut out = anstream::stderr().lock();
    let (style, verdict) = if balanced {
        (FINE, "the books balance")
    } else {
        (ALARM, "the books do not balance: this is a bug")
    };
    let _ = writeln!(
        out,
        "weir: {} packets ({}) seen = {}: {style}{verdict}{style:#}",
        text::grouped(seen.packets),
        text::bytes(seen.bytes),
        outcomes(books),
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
    for probe in books.probes().iter().filter(|probe| probe.lost_events > 0) {
        let lost = text::grouped(probe.lost_events);
        let _ =
            writeln!(out, "weir: probe {}: {ALARM}{lost} events lost{ALARM:#}: {LOST_EVENTS}", probe.probe);
    }
}
