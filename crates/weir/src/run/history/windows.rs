//! The ledger, a minute at a time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_agent::{Books, unix_now};
use weir_record::{Account, AccountIdentity, Interface, LedgerWindow};
use weir_store::OpenWindows;

const MINUTE: Duration = Duration::from_secs(60);

/// What accounts were when the last window ended.
pub struct Windows {
    before: Standing,
    since: Instant,
    start: u64,
}

/// Accounts at one moment.
#[derive(Default)]
struct Standing {
    /// Of observation points that there are, by number.
    open: BTreeMap<u16, Account>,
    closed: BTreeMap<AccountIdentity, Account>,
}

/// The ledger as it is.
pub struct Page {
    /// The windows that have just ended, if a minute is over.
    pub ended: Vec<LedgerWindow>,
    /// Those, and the ones that are open; none at the end.
    pub open: Option<OpenWindows>,
}

impl Windows {
    /// Begins now, with books that are empty.
    pub fn new() -> Self {
        Self { before: Standing::default(), since: Instant::now(), start: unix_now() }
    }

    /// What is open before anything was seen.
    pub fn nothing(&self, mark: String) -> OpenWindows {
        OpenWindows { times: (self.start, self.start), windows: Vec::new(), records: 0, mark }
    }

    /// As it is now; `mark` is what has to be written down with it.
    pub fn look(&mut self, books: &Books, mark: String) -> Page {
        let ended = if self.since.elapsed() < MINUTE { Vec::new() } else { self.end(books) };
        let times = (self.start, unix_now().max(self.start));
        let now = Standing::of(books, books.kept_numbered());
        self.before.rename(&now);
        let (before, now) = (self.before.sums(), now.sums());
        let open = now
            .iter()
            .filter_map(|(identity, account)| LedgerWindow::open(times, before.get(identity), account));
        let windows = ended.iter().cloned().chain(open).collect();
        Page { ended, open: Some(OpenWindows { times, windows, records: books.kept_records(), mark }) }
    }

    /// As it is at last.
    pub fn close(&mut self, books: &Books) -> Page {
        Page { ended: self.end(books), open: None }
    }

    /// The windows up to now, of all accounts in which something has happened.
    fn end(&mut self, books: &Books) -> Vec<LedgerWindow> {
        let end = unix_now().max(self.start);
        let now =
            Standing::of(books, books.numbered().map(|(point, account)| (point, Cow::Borrowed(account))));
        self.before.rename(&now);
        let (before, sums) = (self.before.sums(), now.sums());
        let windows = sums.iter().filter_map(|(identity, account)| {
            LedgerWindow::between((self.start, end), before.get(identity), account)
        });
        let windows = windows.collect();
        (self.before, self.since, self.start) = (now, Instant::now(), end);
        windows
    }
}

impl Standing {
    fn of<'b>(books: &'b Books, open: impl Iterator<Item = (u16, Cow<'b, Account>)>) -> Self {
        let mut closed = BTreeMap::new();
        // Of interfaces that went a thousand interfaces ago only the sum is left, which belongs to none.
        let named = books.closed_accounts().filter(|account| !account.interface.netns.is_empty());
        named.for_each(|account| add(&mut closed, account));
        Self { open: open.map(|(point, account)| (point, account.into_owned())).collect(), closed }
    }

    /// Has accounts go by the names that they have `now`: what was counted under another is not counted again. What has
    /// become part of a sum by now has no name any more.
    fn rename(&mut self, now: &Self) {
        self.closed.retain(|identity, _| now.closed.contains_key(identity));
        let id = |interface: &Interface| (Arc::clone(&interface.netns), interface.index);
        for (point, account) in &mut self.open {
            if let Some(now) = now.open.get(point)
                && id(&now.interface) == id(&account.interface)
            {
                account.interface = Arc::clone(&now.interface);
            }
        }
    }

    /// An interface that comes again under its name goes on where it was.
    fn sums(&self) -> BTreeMap<AccountIdentity, Account> {
        let mut sums = self.closed.clone();
        self.open.values().for_each(|account| add(&mut sums, account));
        sums
    }
}

fn add(sums: &mut BTreeMap<AccountIdentity, Account>, account: &Account) {
    sums.entry(account.identity()).and_modify(|sum| *sum += account).or_insert_with(|| account.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::LedgerCell;
    use weir_record::{InterfaceKind, Layer};

    fn interface(name: &str, index: u32) -> Arc<Interface> {
        let (name, netns) = (name.to_owned(), "1".into());
        Arc::new(Interface { name, index, netns, own_netns: true, kind: InterfaceKind::Veth })
    }

    /// What each interface has had in each window: its name, packets that were seen.
    fn seen(windows: &[LedgerWindow]) -> Vec<(&str, u64)> {
        windows.iter().map(|one| (&*one.added.interface.name, one.added.seen.packets)).collect()
    }

    #[test]
    fn an_interface_with_another_name_is_not_counted_again() {
        let (mut books, mut windows) = (Books::new(64, Box::new(|_| {})), Windows::new());
        let cell = LedgerCell { seen_packets: 5, ..LedgerCell::default() };
        let point = books.open(&interface("eth0", 2), Layer::Outer).expect("room");
        books.see(point, &cell);
        assert_eq!(seen(&windows.end(&books)), [("eth0", 5)]);
        books.rename(point, &interface("lan", 2));
        books.see(point, &cell);
        let open = windows.look(&books, String::new()).open.expect("it is open");
        assert_eq!(seen(&open.windows), [("lan", 5)]);
        // It goes before the minute is over, and another has its number.
        books.close(point);
        let point = books.open(&interface("eth0", 3), Layer::Outer).expect("room");
        books.see(point, &cell);
        assert_eq!(seen(&windows.end(&books)), [("eth0", 5), ("lan", 5)]);
        assert!(windows.end(&books).is_empty());
    }
}
