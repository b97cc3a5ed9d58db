//! What an agent that is killed leaves in the kernel: what was seen after it last wrote its books down.
//!
//! The kernel half of the ledger has a name in bpffs, by which the next agent finds it, and its cells only grow. The
//! agent writes down, with its books, which map that is, whose account each cell is, and what it had read. The name says
//! whose history it is for: a copy of that history elsewhere knows nothing of it.

use crate::books::see;
use crate::{Result, unix_now};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_kernel::{BPFFS, LedgerCell, NUMBERS, Pin, mount_bpffs};
use weir_probes::flows::{Flows, left};
use weir_record::{Account, Direction, Interface, InterfaceKind, Layer};

/// Within bpffs. Nobody but its owner gets in.
const PLACE: &str = "weir";

/// Another one counts other things.
const VERSION: u32 = 1;

/// What is written down.
#[derive(Serialize, Deserialize)]
struct Mark {
    /// Of this, and of the cells.
    version: u32,
    /// Of the map, in [`PLACE`].
    name: String,
    /// How many observation points it tells apart.
    points: u32,
    places: Vec<Place>,
}

/// An observation point, and what was read of its cells. Ingress has the even number, egress the odd one.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    point: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Of>,
    /// The numbers of the cell; what is left out at the end is 0.
    read: Vec<u64>,
}

/// An interface that is there.
#[derive(Serialize, Deserialize)]
struct Of {
    interface: String,
    index: u32,
    netns: Arc<str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    decapsulated: bool,
}

/// Names the kernel half of the ledger for the history in `directory`. What an agent that was killed has left for that
/// history goes; this one has read it.
pub(crate) fn pin(flows: &mut Flows, directory: &Path) -> Result<Pin> {
    mount_bpffs()?;
    let cannot = |source| weir_kernel::Error::kernel(format!("cannot keep maps in {BPFFS}/{PLACE}"), source);
    let prefix = prefix(directory).map_err(cannot)?;
    let place = own_place().map_err(cannot)?;
    for entry in fs::read_dir(&place).map_err(cannot)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_file(entry.path()).map_err(cannot)?;
        }
    }
    Ok(flows.pin_ledger(&place.join(format!("{prefix}{}", unix_now())))?)
}

/// How names begin that are for the history in `directory`: whoever has its lock has these.
fn prefix(directory: &Path) -> io::Result<String> {
    let found = fs::metadata(directory)?;
    Ok(format!("ledger-{}-{}-", found.dev(), found.ino()))
}

fn own_place() -> io::Result<PathBuf> {
    let place = Path::new(BPFFS).join(PLACE);
    // Anybody may make directories in a bpffs that is mounted without a mode. In that of another, maps could be his.
    match DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(&place)?;
    if found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0 {
        Ok(place)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// What there is to write down of it beside these accounts; nothing where it has no name.
pub(crate) fn mark<'a>(
    pin: Option<&Pin>,
    flows: &Flows,
    accounts: impl Iterator<Item = (u16, &'a Account)>,
) -> String {
    let name = pin.and_then(|pin| pin.path().file_name()?.to_str());
    let Some(name) = name else { return String::new() };
    let mut read = flows.ledger_read();
    let known = accounts.map(|(point, account)| {
        let Account { interface, layer, .. } = account;
        let of = Of {
            interface: interface.name.clone(),
            index: interface.index,
            netns: Arc::clone(&interface.netns),
            decapsulated: *layer == Layer::Inner,
        };
        Place { point, of: Some(of), read: shortened(&read.remove(&point).unwrap_or_default()) }
    });
    let mut places: Vec<_> = known.collect();
    // Their interfaces are gone. Another may have their numbers soon.
    places.extend(read.iter().map(|(point, cell)| Place { point: *point, of: None, read: shortened(cell) }));
    let (version, points) = (VERSION, flows.layout().points);
    let mark = Mark { version, name: name.to_owned(), points, places };
    serde_json::to_string(&mark).unwrap_or_default()
}

fn shortened(cell: &LedgerCell) -> Vec<u64> {
    let numbers = cell.numbers();
    let length = numbers.iter().rposition(|number| *number > 0).map_or(0, |last| last + 1);
    numbers[..length].to_vec()
}

/// What was seen after the agent of the history in `directory` wrote this down, until nobody saw any more: each account
/// has that alone. None where nobody knows: there was no bpffs, or the host has started since. The account of an
/// interface that had not been written down yet has no name.
///
/// # Errors
/// It is there, and not for this process.
pub fn seen_since(directory: &Path, mark: &str) -> io::Result<Option<Vec<Account>>> {
    let mark = serde_json::from_str(mark).ok().filter(|mark: &Mark| mark.version == VERSION);
    let Some((mark, map)) = mark.and_then(|mark| map_of(directory, &mark).map(|map| (mark, map))) else {
        return Ok(None);
    };
    if let Err(error) = fs::symlink_metadata(&map) {
        return if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) };
    }
    let mut cells = left(&map, mark.points).map_err(|error| io::Error::other(error.to_string()))?;
    let mut accounts: Vec<_> =
        mark.places.iter().map(|place| came(place, cells.remove(&place.point).unwrap_or_default())).collect();
    accounts.extend(cells.into_iter().map(|(point, cell)| came(&Place { point, ..Place::default() }, cell)));
    Ok(Some(accounts))
}

/// Takes what was left away: it is in books that last.
pub fn forget(directory: &Path, mark: &str) {
    if let Some(map) = serde_json::from_str(mark).ok().and_then(|mark| map_of(directory, &mark)) {
        let _ = fs::remove_file(map);
    }
}

fn map_of(directory: &Path, mark: &Mark) -> Option<PathBuf> {
    let time = mark.name.strip_prefix(&prefix(directory).ok()?)?;
    time.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some(Path::new(BPFFS).join(PLACE).join(&mark.name))
}

fn came(place: &Place, now: LedgerCell) -> Account {
    let mut read = [0; NUMBERS];
    read.iter_mut().zip(&place.read).for_each(|(number, read)| *number = *read);
    let (interface, layer) = place.of.as_ref().map_or_else(nobody, Of::account);
    let direction = if place.point.is_multiple_of(2) { Direction::Ingress } else { Direction::Egress };
    let mut account = Account::new(Arc::new(interface), direction, layer);
    for (cause, count) in see(&mut account, &now.since(&LedgerCell::of(read))) {
        if count.packets > 0 {
            account.lost.insert(cause, count);
        }
    }
    account
}

impl Of {
    fn account(&self) -> (Interface, Layer) {
        let interface = Interface {
            name: self.interface.clone(),
            index: self.index,
            netns: Arc::clone(&self.netns),
            ..nobody().0
        };
        (interface, if self.decapsulated { Layer::Inner } else { Layer::Outer })
    }
}

fn nobody() -> (Interface, Layer) {
    let (name, index, netns) = (String::new(), 0, "".into());
    (Interface { name, index, netns, own_netns: true, kind: InterfaceKind::Other }, Layer::Outer)
}
