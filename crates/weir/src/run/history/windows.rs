//! The ledger, a minute at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use weir_agent::{Books, unix_now};
use weir_record::{Account, AccountIdentity, LedgerWindow};

const MINUTE: Duration = Duration::from_secs(60);

/// What the accounts were when the last window ended.
pub struct Windows {
    before: BTreeMap<AccountIdentity, Account>,
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
fn by_identity(books: &Books) -> BTreeMap<AccountIdentity, Account> {
    let mut all: BTreeMap<AccountIdentity, Account> = BTreeMap::new();
    for account in books.accounts().filter(|account| !account.interface.netns.is_empty()) {
        all.entry(account.identity())
            .and_modify(|known| *known += account)
            .or_insert_with(|| account.clone());
    }
    all
}
