//! The books: every observation point's account, and the numbers that the probe knows them by.

mod closed;

use crate::Closing;
use closed::Closed;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::LedgerCell;
use weir_record::{
    Account, Cause, Count, Direction, FlowRecord, Interface, Layer, Observation, ProbeAccount,
};

/// Where the agent's own few lines go: standard error, or the foot of a live view.
pub type Notify = Box<dyn FnMut(String)>;

/// A loss that goes on is spoken of this often.
const LOSS_LINE_EVERY: Duration = Duration::from_secs(10);

/// What it means that events were lost.
pub const LOST_EVENTS: &str =
    "more came at once than the kernel has room for: some records say less than they could";

/// A loss, and when it was last spoken of.
#[derive(Debug, Default)]
struct Unspoken {
    count: Count,
    spoken: Option<Instant>,
}

/// What the history has of the records.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// How many it has acknowledged.
    pub records: u64,
    /// What is held of these, by observation point: another sink has not answered yet.
    pub unbooked: BTreeMap<u16, Count>,
}

/// Ingress has the even number, egress the odd one after it; 0 and 1 are not used.
pub struct Books {
    accounts: BTreeMap<u16, Account>,
    closed: Closed,
    /// Those that were given back last are taken last: what is written down of the ledger may still know their old owner.
    free: VecDeque<u16>,
    /// What came through the spill ring of each of two epochs, before the drain that says it was seen.
    ahead: [BTreeMap<u16, Count>; 2],
    unspoken: BTreeMap<(u16, Cause), Unspoken>,
    probes: Vec<ProbeAccount>,
    kept: Kept,
    /// Events whose loss has been spoken of, and when last.
    spoken_events: (u64, Option<Instant>),
    notify: Notify,
    /// Said once.
    out_of_balance: bool,
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.accounts()).finish()
    }
}

impl Books {
    /// Empty books with room for `points` observation points.
    pub fn new(points: u32, notify: Notify) -> Self {
        let last = u16::try_from(points).unwrap_or(u16::MAX);
        let free = (2..last.saturating_sub(1)).step_by(2).collect();
        let (accounts, closed) = (BTreeMap::new(), Closed::default());
        let (ahead, unspoken) = (Default::default(), BTreeMap::new());
        let (probes, kept, spoken_events) = (Vec::new(), Kept::default(), (0, None));
        let out_of_balance = false;
        Self { accounts, closed, free, ahead, unspoken, probes, kept, spoken_events, notify, out_of_balance }
    }

    /// Opens two accounts for an interface. The number of the first; none where the probe's ledger is full.
    pub fn open(&mut self, interface: &Arc<Interface>, layer: Layer) -> Option<u16> {
        let point = self.free.pop_front()?;
        for (number, direction) in [(point, Direction::Ingress), (point + 1, Direction::Egress)] {
            self.accounts.insert(number, Account::new(Arc::clone(interface), direction, layer));
        }
        Some(point)
    }

    /// Takes back [`open`](Self::open): nothing was ever seen there.
    pub fn cancel(&mut self, point: u16) {
        self.accounts.remove(&point);
        self.accounts.remove(&(point + 1));
        self.free.push_back(point);
    }

    /// The interface has another name from now on.
    pub fn rename(&mut self, point: u16, interface: &Arc<Interface>) {
        for number in [point, point + 1] {
            self.change(number, |account| account.interface = Arc::clone(interface));
        }
    }

    /// Closes both accounts of an interface that is gone, whose last packet has been exported.
    pub fn close(&mut self, point: u16) {
        let both = [self.accounts.remove(&point), self.accounts.remove(&(point + 1))];
        both.into_iter().flatten().for_each(|account| self.closed.add(account));
        // The number's next owner does not speak of these losses; the closed accounts keep them.
        self.unspoken.retain(|(number, _), _| *number != point && *number != point + 1);
        self.free.push_back(point);
    }

    /// Whether anything of these two accounts is still on its way.
    pub fn is_settled(&self, point: u16) -> bool {
        [point, point + 1]
            .iter()
            .all(|number| self.accounts.get(number).is_none_or(|account| account.held == Count::default()))
    }

    /// The account of an observation point.
    pub fn account(&self, point: u16) -> Option<&Account> {
        self.accounts.get(&point)
    }

    /// The accounts of observation points that there are, by number.
    pub fn numbered(&self) -> impl Iterator<Item = (u16, &Account)> {
        self.accounts.iter().map(|(point, account)| (*point, account))
    }

    /// All accounts, those of interfaces that are gone first.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.closed.accounts().chain(self.accounts.values())
    }

    /// The same, of each observation point one.
    pub fn merged_accounts(&self) -> impl Iterator<Item = Account> {
        closed::merged(self.accounts())
    }

    /// Counts in what a level held of a flow.
    pub fn hold(&mut self, point: u16, count: Count) {
        self.change(point, |account| account.held += count);
    }

    /// Counts in what came through the spill ring in `epoch`.
    pub fn hold_ahead(&mut self, point: u16, count: Count, epoch: u32) {
        *self.ahead[(epoch & 1) as usize].entry(point).or_default() += count;
        self.change(point, |account| {
            account.held += count;
            account.ahead += count;
        });
    }

    /// Counts in what the probe has seen and lost.
    pub fn see(&mut self, point: u16, cell: &LedgerCell) {
        let Some(account) = self.accounts.get_mut(&point) else { return };
        for (cause, count) in see(account, cell) {
            self.lose(point, cause, count);
        }
    }

    /// Notes that all cells of `epoch` have been read: nothing of it is ahead of them any more.
    pub fn end_epoch(&mut self, epoch: u32) {
        for (point, count) in std::mem::take(&mut self.ahead[(epoch & 1) as usize]) {
            self.change(point, |account| account.ahead -= count);
        }
    }

    /// Books records that a sink has taken, or that were lost on the way to it: all that was
    /// observed of each, at every point.
    pub fn settle(&mut self, records: &[FlowRecord], outcome: Result<(), Cause>) {
        for Observation { point, count, .. } in records.iter().flat_map(|record| &record.observations) {
            self.change(*point, |account| account.held -= *count);
            match outcome {
                Ok(()) => self.change(*point, |account| account.exported += *count),
                Err(cause) => self.lose(*point, cause, *count),
            }
        }
    }

    /// Books a record that the filter does not want: all that was observed of it, at every point.
    pub fn filter_out(&mut self, record: &FlowRecord) {
        for Observation { point, count, .. } in &record.observations {
            self.change(*point, |account| {
                account.held -= *count;
                account.filtered += *count;
            });
        }
    }

    /// Books everything that is still held as lost: there is nobody left to take it.
    pub fn lose_held(&mut self, cause: Cause) {
        let held: Vec<_> =
            self.accounts.iter_mut().map(|(point, a)| (*point, std::mem::take(&mut a.held))).collect();
        held.into_iter().for_each(|(point, count)| self.lose(point, cause, count));
    }

    /// Records a loss: in the account, and for the line that [`speak`](Self::speak) says of it.
    fn lose(&mut self, point: u16, cause: Cause, count: Count) {
        if count.packets == 0 {
            return;
        }
        self.change(point, |account| *account.lost.entry(cause).or_default() += count);
        if cause.is_alarming() {
            self.unspoken.entry((point, cause)).or_default().count += count;
        }
    }

    /// What the probes beside the flow probe have told and lost so far.
    pub fn set_probes(&mut self, probes: Vec<ProbeAccount>) {
        self.probes = probes;
    }

    /// As they were last set.
    pub fn probes(&self) -> &[ProbeAccount] {
        &self.probes
    }

    /// What the history has, as of the last drain.
    pub fn set_kept(&mut self, kept: Kept) {
        self.kept = kept;
    }

    /// How many records the history has acknowledged.
    pub fn kept_records(&self) -> u64 {
        self.kept.records
    }

    /// The accounts of observation points that there are as they would be if there were no sink but the history: what
    /// that has is exported.
    pub fn kept_numbered(&self) -> impl Iterator<Item = (u16, Cow<'_, Account>)> {
        let unbooked = |point: &u16| self.kept.unbooked.get(point);
        self.accounts.iter().map(move |(point, account)| match unbooked(point) {
            None => (*point, Cow::Borrowed(account)),
            Some(count) => {
                let mut account = account.clone();
                account.held -= *count;
                account.exported += *count;
                (*point, Cow::Owned(account))
            }
        })
    }

    /// The accounts of interfaces that are gone.
    pub fn closed_accounts(&self) -> impl Iterator<Item = &Account> {
        self.closed.accounts()
    }

    /// What a sink is given at the end.
    pub fn closing(&self) -> Closing {
        let (accounts, probes) = (self.merged_accounts().collect(), self.probes.clone());
        Closing { accounts, probes, sinks: Vec::new() }
    }

    /// Says a line of each loss since the last call, and of none more often than every ten seconds.
    pub fn speak(&mut self) {
        let now = Instant::now();
        for ((point, cause), loss) in &mut self.unspoken {
            let due = loss.spoken.is_none_or(|spoken| now - spoken >= LOSS_LINE_EVERY);
            let Some(account) = self.accounts.get(point).filter(|_| due && loss.count.packets > 0) else {
                continue;
            };
            (self.notify)(format!(
                "{} {}: {} packets ({} bytes) lost: {}: {}",
                account.interface,
                account.direction.as_str(),
                loss.count.packets,
                loss.count.bytes,
                cause.as_str(),
                cause.remedy(),
            ));
            *loss = Unspoken { count: Count::default(), spoken: Some(now) };
        }
        self.speak_of_events(now);
    }

    fn speak_of_events(&mut self, now: Instant) {
        let lost: u64 = self.probes.iter().map(|probe| probe.lost_events).sum();
        let (spoken, when) = self.spoken_events;
        if lost > spoken && when.is_none_or(|when| now - when >= LOSS_LINE_EVERY) {
            let losers = self.probes.iter().filter(|probe| probe.lost_events > 0);
            let losers: Vec<_> = losers.map(|probe| probe.probe).collect();
            (self.notify)(format!("{} events lost ({}): {LOST_EVENTS}", lost - spoken, losers.join(", ")));
            self.spoken_events = (lost, Some(now));
        }
    }

    /// Looks whether every account balances, as it must after each drain, and says so once where one does not.
    pub fn audit(&mut self) {
        let Some(account) = self.accounts.values().find(|account| !account.is_balanced()) else { return };
        if !std::mem::replace(&mut self.out_of_balance, true) {
            let (interface, direction) = (&account.interface, account.direction.as_str());
            let line =
                format!("{interface} {direction}: the books do not balance: this is a bug: {account:?}");
            (self.notify)(line);
        }
    }

    /// Says a line that is not about a loss.
    pub fn notice(&mut self, line: String) {
        (self.notify)(line);
    }

    fn change(&mut self, point: u16, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get_mut(&point) {
            change(account);
        }
    }
}

/// Counts in what the probe has seen; what it has lost, by cause.
pub(crate) fn see(account: &mut Account, cell: &LedgerCell) -> [(Cause, Count); 2] {
    let count = |packets, bytes| Count { packets, bytes };
    account.seen += count(cell.seen_packets, cell.seen_bytes);
    account.seen += count(cell.nested_packets, cell.nested_bytes);
    account.filtered += count(cell.filtered_packets, cell.filtered_bytes);
    account.filtered += count(cell.nested_filtered_packets, cell.nested_filtered_bytes);
    account.sampled_out += count(cell.sampled_out_packets, cell.sampled_out_bytes);
    account.sampled_out += count(cell.nested_sampled_out_packets, cell.nested_sampled_out_bytes);
    [
        (Cause::SpillRingFull, count(cell.lost_spill_packets, cell.lost_spill_bytes)),
        (Cause::NestedSpillRingFull, count(cell.lost_nested_packets, cell.lost_nested_bytes)),
    ]
}
