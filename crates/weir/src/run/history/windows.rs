//! The ledger, a minute at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use weir_agent::{Books, unix_now};
use weir_record::{Account, AccountIdentity, LedgerWindow};
use weir_store::OpenWindows;

const MINUTE: Duration = Duration::from_secs(60);

/// What accounts were when the last window ended.
pub struct Windows {
    before: BTreeMap<AccountIdentity, Account>,
    since: Instant,
    start: u64,
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
        Self { before: BTreeMap::new(), since: Instant::now(), start: unix_now() }
    }

    /// What is open before anything was seen.
    pub fn nothing(&self, mark: String) -> OpenWindows {
        OpenWindows { times: (self.start, self.start), windows: Vec::new(), records: 0, mark }
    }

    /// As it is now; `mark` is what has to be written down with it.
    pub fn look(&mut self, books: &Books, mark: String) -> Page {
        let ended = if self.since.elapsed() < MINUTE { Vec::new() } else { self.end(books) };
        let times = (self.start, unix_now().max(self.start));
        let now = by_identity(books.kept_accounts().map(|account| account.into_owned()));
        let open = now
            .iter()
            .filter_map(|(identity, account)| LedgerWindow::open(times, self.before.get(identity), account));
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
        let now = by_identity(books.accounts().cloned());
        let windows = now.iter().filter_map(|(identity, account)| {
            LedgerWindow::between((self.start, end), self.before.get(identity), account)
        });
        let windows = windows.collect();
        (self.before, self.since, self.start) = (now, Instant::now(), end);
        windows
    }
}

/// Of interfaces that went a thousand interfaces ago only the sum is left, which belongs to none.
fn by_identity(accounts: impl Iterator<Item = Account>) -> BTreeMap<AccountIdentity, Account> {
    let mut all: BTreeMap<AccountIdentity, Account> = BTreeMap::new();
    for account in accounts.filter(|account| !account.interface.netns.is_empty()) {
        all.entry(account.identity()).and_modify(|known| *known += &account).or_insert(account);
    }
    all
}
