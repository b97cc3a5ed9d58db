//! Where a probe listens to packets beside the flow probe: its programs on interfaces, hung as those come and taken off
//! as they go.

use crate::HookChoice;
use crate::interfaces::{Inventory, Link, Namespace};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use weir_kernel::{Attachment, Hook, Position};
use weir_probes::Programs;
use weir_probes::flows::{InterfaceId, LinkLayer};

/// Programs are hung for this long at a time: for each the kernel waits for a grace period, some 10 ms.
const TURN: Duration = Duration::from_millis(50);

/// How programs are hung, and where among others.
pub type PostPlace = (HookChoice, Position);

/// The programs of one probe on one interface. They are taken off when the interface is gone.
pub struct Hung(Vec<Attachment>);

impl Hung {
    pub fn new(attachments: Vec<Attachment>) -> Self {
        Self(attachments)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the programs off: a filter only from inside its network namespace. Of one that is gone they are off.
    pub fn detach(&mut self, namespace: Option<&Namespace>) {
        let attachments = &mut self.0;
        let is_clsact = attachments.iter().any(|one| matches!(one, Attachment::Clsact(_)));
        if let Some(namespace) = namespace.filter(|_| is_clsact) {
            let _ = namespace.enter(|| attachments.clear());
        }
        attachments.clear();
    }

    /// Whether an interface that seems to be the same still is: the programs go with it.
    pub fn is_attached(&self, namespace: Option<&Namespace>) -> bool {
        let all = || self.0.iter().all(Attachment::is_attached);
        namespace.is_some_and(|namespace| namespace.enter(all).unwrap_or(false))
    }
}

/// An interface that is listened at.
struct Post {
    serial: u64,
    hung: Hung,
}

/// All of them.
pub struct Posts {
    /// What is listened to, as it is said.
    what: &'static str,
    place: PostPlace,
    posts: BTreeMap<InterfaceId, Post>,
    /// By number and serial: could not be listened at; said once.
    refused: BTreeSet<(InterfaceId, u64)>,
    remarks: Vec<String>,
}

impl Posts {
    pub fn new(what: &'static str, place: PostPlace) -> Self {
        Self { what, place, posts: BTreeMap::new(), refused: BTreeSet::new(), remarks: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.posts.len()
    }

    pub fn remarks(&mut self) -> impl Iterator<Item = String> {
        self.remarks.drain(..)
    }

    /// Looks which programs still hang: an interface that seems to be the same may be another one.
    pub fn look_again(&mut self, inventory: &Inventory) {
        let is_off = |id: &InterfaceId, post: &mut Post| !post.hung.is_attached(inventory.namespace(*id));
        let over: Vec<_> = self.posts.extract_if(.., is_off).collect();
        over.into_iter().for_each(|(id, mut post)| post.hung.detach(inventory.namespace(id)));
    }

    /// Hangs the programs on what is `wanted` and new, takes them off what is not or is gone. Whether there is more to
    /// do.
    pub fn follow<'p>(
        &mut self,
        programs: impl Fn(LinkLayer) -> &'p Programs,
        inventory: &Inventory,
        wanted: impl Fn(InterfaceId) -> bool,
    ) -> bool {
        let is_there =
            |id, serial| inventory.link(id).is_some_and(|link| link.serial == serial && wanted(id));
        self.refused.retain(|(id, serial)| is_there(*id, *serial));
        let over: Vec<_> = self.posts.extract_if(.., |id, post| !is_there(*id, post.serial)).collect();
        over.into_iter().for_each(|(id, mut post)| post.hung.detach(inventory.namespace(id)));
        let turn = Instant::now() + TURN;
        let links = inventory.links().filter(|link| wanted(link.id));
        for link in links {
            if self.posts.contains_key(&link.id) || self.refused.contains(&(link.id, link.serial)) {
                continue;
            }
            if Instant::now() >= turn {
                return true;
            }
            self.hang(programs(link.link_layer), inventory, link);
        }
        false
    }

    fn hang(&mut self, programs: &Programs, inventory: &Inventory, link: &Link) {
        let Some(namespace) = inventory.namespace(link.id) else { return };
        let (choice, position) = self.place;
        let attach = || match choice {
            HookChoice::Clsact => programs.attach(link.id.index, (Hook::Clsact, position)),
            HookChoice::Tcx => programs.attach(link.id.index, (Hook::Tcx, position)),
            HookChoice::Auto => programs.attach_somehow(link.id.index, position),
        };
        match namespace.enter(attach) {
            Ok(Ok(attachments)) => {
                self.posts.insert(link.id, Post { serial: link.serial, hung: Hung::new(attachments) });
            }
            // It is gone, or about to be: the inventory will say so.
            Err(_) => {}
            Ok(Err(error)) if error.errno() == Some(nix::errno::Errno::ENODEV as i32) => {}
            Ok(Err(error)) => {
                self.remarks.push(format!("{}: {} is not heard there: {error}", link.interface, self.what));
                self.refused.insert((link.id, link.serial));
            }
        }
    }
}
