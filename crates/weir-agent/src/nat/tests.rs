//! Against the kernel's conntrack, in a network namespace of the test's thread.

use super::*;
use crate::interfaces::Namespaces;
use crate::settings::sample;
use nix::sched::{CloneFlags, unshare};
use std::net::UdpSocket;
use std::process::{Command, Stdio};

const SERVICE: &str = "10.96.0.10:53";
const RULES: &str = "table ip nat {\n chain out {\n type nat hook output priority -100\n \
     ip daddr 10.96.0.10 udp dport 53 dnat to 127.0.0.1:5353\n }\n}\n";

/// Runs in a namespace where a service's address leads to a port of `lo`.
fn behind_a_nat(work: impl FnOnce() + Send) {
    let inside = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
        let run = |program: &str, words: &str| {
            let status = Command::new(program).args(words.split(' ')).status();
            assert!(status.expect("it is installed").success(), "{program} {words}");
        };
        run("ip", "link set lo up");
        run("ip", "route add 10.96.0.0/16 dev lo");
        let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nftables");
        std::io::Write::write_all(&mut nft.stdin.take().expect("a pipe"), RULES.as_bytes())
            .expect("it reads");
        assert!(nft.wait().expect("it ends").success());
        work();
    };
    std::thread::scope(|scope| scope.spawn(inside).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Sends a datagram to the service; its socket's port.
fn ask() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.send_to(b"hello", SERVICE).expect("it is sent");
    socket.local_addr().expect("bound").port()
}

fn ports(table: &Table) -> BTreeSet<u16> {
    let ports = table.translations().known().filter_map(|tuples| tuples.original.ports());
    ports.map(|(source, _)| source).collect()
}

fn stage() -> (Inventory, Table, Nat) {
    let inventory = Inventory::open(Namespaces::Own, false).expect("it can be looked at");
    (inventory, Table::new(&sample()), Nat::new(true))
}

#[test]
fn root_what_was_there_and_what_comes_is_known() {
    behind_a_nat(|| {
        let mut wanted = BTreeSet::from([ask()]);
        let (inventory, mut table, mut nat) = stage();
        assert_eq!(nat.place(&inventory, &mut table), Vec::<String>::new());
        assert_eq!(ports(&table), wanted);
        wanted.insert(ask());
        // Without a translation there is nothing to tell of.
        UdpSocket::bind("127.0.0.1:0").and_then(|one| one.send_to(b"x", "127.0.0.1:9")).expect("it is sent");
        nat.hear(&inventory, &mut table);
        assert_eq!(ports(&table), wanted);
        let state = nat.state(&table);
        assert_eq!((state.namespaces, state.translations, state.lost_events), (1, 2, 0));
    });
}

#[test]
fn root_lost_events_are_made_up_for() {
    behind_a_nat(|| {
        let (inventory, mut table, mut nat) = stage();
        nat.place(&inventory, &mut table);
        nat.sources.values().for_each(|source| source.listener.starve());
        let wanted: BTreeSet<_> = (0..100).map(|_| ask()).collect();
        nat.hear(&inventory, &mut table);
        assert!(nat.lost > 0 && ports(&table).len() < wanted.len());
        let account = nat.account(&table).expect("it listens");
        // A port that was had twice is one translation.
        let asked = (wanted.len() as u64, ports(&table).len() as u64);
        assert_eq!((account.events + account.lost_events, account.events), asked);
        nat.sources.values_mut().for_each(|source| source.dumped -= source.pause);
        nat.hear(&inventory, &mut table);
        assert_eq!(ports(&table), wanted);
    });
}

#[test]
fn root_where_it_is_not_wanted_nothing_is_opened() {
    behind_a_nat(|| {
        let (inventory, mut table, _) = stage();
        let mut nat = Nat::new(false);
        assert!(nat.place(&inventory, &mut table).is_empty() && nat.sources.is_empty());
    });
}
