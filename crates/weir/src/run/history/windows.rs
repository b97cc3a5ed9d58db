//! The ledger, a minute at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_agent::Books;
use weir_record::{Account, Direction, Layer, LedgerWindow};

const MINUTE: Duration = Duration::from_secs(60);

/// Which accounts are one: an interface that comes again under its name goes on where it was.
type Identity = (Arc<str>, String, Direction, Layer);

/// What the accounts were when the last window ended.
pub struct Windows {
    before: BTreeMap<Identity, Account>,
    since: Instant,
    start: u64,
}

impl Windows {
    /// Begins now, with books that are empty.
    pub fn new() -> Self {
        Self { before: BTreeMap::new(), since: Instant::now(), start: unix_now() }
    }

    /// The windows that have just ended, if a minute is over.
    pub fn due(&mut self, books: &Books) -> Vec<LedgerWindow> {
        if self.since.elapsed() < MINUTE { Vec::new() } else { self.end(books) }
    }

    /// The windows up to now, of all accounts in which something has happened.
    pub fn end(&mut self, books: &Books) -> Vec<LedgerWindow> {
        let end = unix_now().max(self.start);
        let now = by_identity(books);
        let windows = now.iter().filter_map(|(identity, account)| {
            LedgerWindow::between((self.start, end), self.before.get(identity), account)
        });
        let windows = windows.collect();
        (self.before, self.since, self.start) = (now, Instant::now(), end);
        windows
    }
}

/// Of interfaces that went a thousand interfaces ago only the sum is left, which belongs to none.
fn by_identity(books: &Books) -> BTreeMap<Identity, Account> {
    let mut all: BTreeMap<Identity, Account> = BTreeMap::new();
    for account in books.accounts().filter(|account| !account.interface.netns.is_empty()) {
        let interface = &account.interface;
        let identity =
            (Arc::clone(&interface.netns), interface.name.clone(), account.direction, account.layer);
        all.entry(identity).and_modify(|known| *known += account).or_insert_with(|| account.clone());
    }
    all
}

/// Nanoseconds since the Unix epoch.
pub fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
