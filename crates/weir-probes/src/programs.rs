//! The programs of a probe that are hung on interfaces. A room of their own because other
//! network namespaces are entered in threads, which the object itself cannot go to.

use crate::flows::LinkLayer;
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

    /// As [`attach`](Self::attach), by whichever hook the kernel has.
    ///
    /// # Errors
    /// See [`weir_kernel::attach`].
    pub fn attach_somehow(&self, ifindex: u32, position: Position) -> Result<Vec<Attachment>> {
        let program = |direction| (self.program(direction), direction);
        let hang = |(program, direction)| weir_kernel::attach_somehow(program, ifindex, direction, position);
        [Direction::Ingress, Direction::Egress].map(program).into_iter().map(hang).collect()
    }

    /// Takes off what a killed agent left on interface `ifindex` of the network namespace that
    /// this thread is in. How many filters.
    pub fn sweep(&self, ifindex: u32) -> u32 {
        let sweep = |direction| weir_kernel::sweep(self.program(direction), ifindex, direction);
        sweep(Direction::Ingress) + sweep(Direction::Egress)
    }

    pub(crate) fn program(&self, direction: Direction) -> BorrowedFd<'_> {
        match direction {
            Direction::Ingress => self.ingress.as_fd(),
            Direction::Egress => self.egress.as_fd(),
        }
    }
}

/// A pair of programs for interfaces whose frames begin with Ethernet, and one for the others: a probe that hangs where
/// it is known which they are need not look for each packet.
#[derive(Debug)]
pub(crate) struct ByLinkLayer {
    ethernet: Programs,
    bare: Programs,
}

impl ByLinkLayer {
    /// Those of an object, by name: with Ethernet in and out, without it in and out.
    pub(crate) fn of(loaded: &Loaded, names: [&str; 4]) -> Result<Self> {
        let [ingress, egress, bare_ingress, bare_egress] = names;
        let ethernet = Programs::of(loaded, [ingress, egress])?;
        Ok(Self { ethernet, bare: Programs::of(loaded, [bare_ingress, bare_egress])? })
    }

    /// The pair for interfaces whose frames begin so.
    pub(crate) fn of_link(&self, link_layer: LinkLayer) -> &Programs {
        match link_layer {
            LinkLayer::Ethernet => &self.ethernet,
            LinkLayer::None => &self.bare,
        }
    }
}
