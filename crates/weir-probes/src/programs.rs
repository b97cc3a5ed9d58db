//! The programs of a probe that are hung on interfaces. A room of their own because other
//! network namespaces are entered in threads, which the object itself cannot go to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use weir_kernel::{Attachment, Direction, Error, Hook, Loaded, Position, Result};

/// One program for each direction.
#[derive(Debug)]
pub struct Programs {
    ingress: OwnedFd,
    egress: OwnedFd,
}

impl Programs {
    /// Those of an object, by name: for packets that come in, for packets that go out.
    pub(crate) fn of(loaded: &Loaded, [ingress, egress]: [&str; 2]) -> Result<Self> {
        let descriptor = |name: &str| {
            let copy = loaded.program(name)?.as_fd().try_clone_to_owned();
            copy.map_err(|error| Error::kernel(format!("cannot copy the descriptor of {name}"), error))
        };
        Ok(Self { ingress: descriptor(ingress)?, egress: descriptor(egress)? })
    }

    /// Hangs both programs on interface `ifindex` of the network namespace that this thread is in, or none.
    ///
    /// # Errors
    /// See [`weir_kernel::attach`].
    pub fn attach(&self, ifindex: u32, place: (Hook, Position)) -> Result<Vec<Attachment>> {
        let hang = |direction| weir_kernel::attach(self.program(direction), ifindex, direction, place);
        [Direction::Ingress, Direction::Egress].into_iter().map(hang).collect()
    }

    /// Takes off what a killed agent left on interface `ifindex` of the network namespace that
    /// this thread is in. How many filters.
    pub fn sweep(&self, ifindex: u32) -> u32 {
        let sweep = |direction| weir_kernel::sweep(self.program(direction), ifindex, direction);
        sweep(Direction::Ingress) + sweep(Direction::Egress)
    }

    fn program(&self, direction: Direction) -> BorrowedFd<'_> {
        match direction {
            Direction::Ingress => self.ingress.as_fd(),
            Direction::Egress => self.egress.as_fd(),
        }
    }
}
