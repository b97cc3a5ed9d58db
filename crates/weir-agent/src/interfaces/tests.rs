//! The inventory in a network namespace of the test's own, held against what iproute2 did there.

use super::*;
use nix::sched::{CloneFlags, unshare};
use std::process::Command;

/// Runs `test` in a thread in a namespace of its own, which goes with it.
fn apart(test: impl FnOnce() + Send) {
    let inside = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
        test();
    };
    let outcome = std::thread::scope(|scope| scope.spawn(inside).join());
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn ip(args: &str) {
    let status = Command::new("ip").args(args.split(' ')).status().expect("ip");
    assert!(status.success(), "ip {args}");
}

fn names(inventory: &Inventory) -> Vec<String> {
    inventory.links().map(|link| link.interface.name.clone()).collect()
}

#[test]
fn root_what_comes_changes_and_goes_is_followed() {
    apart(|| {
        let mut inventory = Inventory::open(Namespaces::Own, true).expect("it opens");
        assert_eq!(names(&inventory), ["lo"]);
        assert_eq!(inventory.refresh().expect("it listens"), Change::None);
        ip("link add weir1 index 7 type veth peer name weir2 index 8");
        assert_eq!(inventory.refresh().expect("it listens"), Change::Some);
        assert_eq!(names(&inventory), ["lo", "weir1", "weir2"]);
        let id = InterfaceId { netns: 0, index: 7 };
        let first = inventory.link(id).expect("it is there").clone();
        assert_eq!(first.interface.kind, InterfaceKind::Veth);

        ip("address add 192.0.2.1/24 dev weir1");
        ip("link set weir1 name weir3");
        inventory.refresh().expect("it listens");
        let renamed = inventory.link(id).expect("it is there");
        assert_eq!((renamed.serial, renamed.interface.name.as_str()), (first.serial, "weir3"));
        assert_eq!(renamed.addresses, BTreeSet::from([IpAddr::from([192, 0, 2, 1])]));

        // A port that leaves its bridge is no link that goes.
        ip("link add weirb type bridge");
        ip("link set weir3 master weirb");
        ip("link set weir3 nomaster");
        inventory.refresh().expect("it listens");
        assert!(inventory.link(id).is_some_and(|link| link.serial == first.serial));

        ip("link del weir3");
        ip("link add weir1 index 7 type bridge");
        inventory.refresh().expect("it listens");
        let second = inventory.link(id).expect("another is there");
        assert_ne!(second.serial, first.serial);
        assert!(second.addresses.is_empty());
    });
}

#[test]
fn root_lost_notifications_are_made_up_for() {
    apart(|| {
        let mut inventory = Inventory::open(Namespaces::Own, false).expect("it opens");
        let lo = inventory.links().next().expect("lo").serial;
        inventory.notifications.starve();
        for number in 0..40 {
            ip(&format!("link add weir{number} type bridge"));
        }
        assert_eq!(inventory.refresh().expect("it listens"), Change::Uncertain);
        assert_eq!(inventory.links().count(), 41);
        assert!(inventory.links().any(|link| link.serial == lo), "what is still there is the same");
    });
}
