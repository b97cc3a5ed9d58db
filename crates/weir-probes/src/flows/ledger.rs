//! The kernel half of the ledger. Its cells only grow: what an agent that is killed has not come to read is what they have
//! more than it wrote down.

use super::Layout;
use super::drain::{Left, Visitor, first_part};
use std::collections::BTreeMap;
use std::path::Path;
use weir_kernel::{Error, LedgerCell, Loaded, Pinned, Result, Window};

/// By observation point, the cells of all CPUs and generations together.
pub type Cells = BTreeMap<u16, LedgerCell>;

/// What was read of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Of each generation.
    read: [Cells; 2],
}

impl Ledger {
    /// Reads what was added to the cells of the generation that was left.
    pub fn drain(
        &mut self,
        loaded: &Loaded,
        layout: &Layout,
        left: &Left,
        visitor: &mut impl Visitor,
    ) -> Result<()> {
        let points = layout.points as usize;
        let first = first_part(layout, left) * points;
        let range = first..first + layout.cpus as usize * points;
        let cells: Window<LedgerCell> = Window::new(loaded.map("ledger")?, range)?;
        let read = &mut self.read[(left.epoch() & 1) as usize];
        for (point, now) in sums(&cells, points) {
            let before = read.entry(point).or_default();
            if now != *before {
                visitor.cell(point, &now.since(before));
                *before = now;
            }
        }
        Ok(())
    }

    /// All that was read so far.
    pub fn read(&self) -> Cells {
        let [mut sums, other] = self.read.clone();
        for (point, cell) in &other {
            *sums.entry(*point).or_default() += cell;
        }
        sums
    }
}

/// Those in which there is something.
fn sums(cells: &[LedgerCell], points: usize) -> Cells {
    let mut sums = vec![LedgerCell::default(); points];
    for part in cells.chunks(points) {
        let used = sums.iter_mut().zip(part).filter(|(_, cell)| **cell != LedgerCell::default());
        used.for_each(|(sum, cell)| *sum += cell);
    }
    let used = (0..).zip(sums).filter(|(_, sum)| *sum != LedgerCell::default());
    used.collect()
}

/// What the cells have that an agent has left under this name, where it told so many points apart.
///
/// # Errors
/// They are not there any more, or no cells.
pub fn left(path: &Path, points: u32) -> Result<Cells> {
    let map = Pinned::open(path)?;
    let what = || Error::Unexpected(format!("{} has no cells of the ledger", path.display()));
    let rows = map.rows(size_of::<LedgerCell>()).ok_or_else(what)?;
    let cells: Window<LedgerCell> = Window::new(map.fd(), 0..rows)?;
    Ok(sums(&cells, points.max(1) as usize))
}
