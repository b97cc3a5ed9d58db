//! Streams within TLS: what arrives, who is let in, and what becomes of a peer that is killed.

use crate::authority::Authority;
use crate::common::messages::collected;
use crate::common::rsyslog::{Input, Rsyslog};
use crate::flows::{count, once, parsed, records};
use crate::openssl::Server;
use crate::{courier, mistake, state, target};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use weir_export::Courier;
use weir_record::PeerCondition;
use weir_tests::folder::Folder;
use weir_tests::wait_for;

pub const SOON: Duration = Duration::from_secs(30);

/// Goes on until it is connected and nothing waits.
pub fn settle(courier: &mut Courier) {
    wait_for("everything was sent", SOON, || {
        courier.settle().expect("it lasts");
        courier.go_on();
        let state = state(courier);
        (state.condition == PeerCondition::Connected && state.spooled_records == 0 && !courier.is_behind())
            .then_some(())
    });
}

/// rsyslog takes what comes from whoever has a certificate of its authority's: each record once. Others are told so, and
/// send nothing.
#[test]
fn rsyslog_has_each_record_once() {
    let folder = Folder::new("secure");
    let authority = Authority::new(&folder, "ours");
    let (server, client) = (authority.signs(&["localhost"]), authority.signs(&["weir"]));
    let daemon = Rsyslog::start(&folder, &Input::Tls(&authority, &server, "x509/certvalid"));
    let url = format!("syslog+tls://localhost:{}?ca_file={}", daemon.port, authority.file);
    let said = mistake(&url);
    assert!(said.contains("it wants a certificate from us") || said.contains("alert"), "{said}");
    let stranger = Authority::new(&folder, "others").signs(&["weir"]);
    let said = mistake(&format!("{url}&cert_file={}&key_file={}", stranger.certificate, stranger.key));
    assert!(said.contains("alert"), "{said}");
    let mut courier =
        courier(&folder, &format!("{url}&cert_file={}&key_file={}", client.certificate, client.key));
    for batch in 0..6 {
        courier.write(&records(batch * 500..(batch + 1) * 500)).expect("taken");
    }
    settle(&mut courier);
    courier.finish().expect("it lasts");
    wait_for("all is written", SOON, || (daemon.received().lines().count() >= 3000).then_some(()));
    assert_eq!(count(&parsed(&daemon.stop())), once(0..3000));
}

/// IPFIX to a server that is killed while records come, and started anew: both have each of them, and tshark reads both.
/// Nothing is lost, and what comes twice is known by its identity.
#[test]
fn a_collector_that_is_killed_has_each_record() {
    let folder = Folder::new("secure");
    let authority = Authority::new(&folder, "ours");
    let certified = authority.signs(&["127.0.0.1"]);
    let first = Server::start(&folder, &certified, &[]);
    let port = first.port;
    let mut courier = courier(&folder, &format!("ipfix+tls://127.0.0.1:{port}?ca_file={}", authority.file));
    courier.write(&records(0..500)).expect("taken");
    wait_for("the first has some", SOON, || (first.received().len() > 10_000).then_some(()));
    courier.write(&records(500..1000)).expect("taken");
    let killed = first.kill();
    for batch in 2..6 {
        courier.write(&records(batch * 500..(batch + 1) * 500)).expect("on disk at least");
    }
    wait_for("it is known to be away", SOON, || {
        courier.go_on();
        (courier.state().lock().expect("nobody panics").failures > 0).then_some(())
    });
    let second = Server::start_at(port, &folder, &certified, &[]);
    settle(&mut courier);
    courier.write(&records(3000..3100)).expect("taken");
    courier.finish().expect("it lasts");
    let last = |flows: &[Value]| count(flows).keys().any(|id| id.0 == format!("{:016x}", 3099));
    let after = wait_for("the last has come", SOON, || {
        let flows = collected(&folder, "second.ipfix", &second.received());
        last(&flows).then_some(flows)
    });
    let both = [collected(&folder, "first.ipfix", &killed), after.clone()].concat();
    let ids: BTreeSet<_> = count(&both).into_keys().collect();
    assert_eq!(ids, once(0..3100).into_keys().collect());
    assert!(count(&after).values().all(|count| *count == 1), "a connection has each once");
    assert!(courier.state().lock().expect("nobody panics").resent_records > 0);
}

/// OpenSSL lets in who shows a certificate; who shows none, or another authority's, hears why before a record is sent.
#[test]
fn a_refusal_is_heard_before_records_are_sent() {
    let folder = Folder::new("secure");
    let (ours, others) = (Authority::new(&folder, "ours"), Authority::new(&folder, "others"));
    let certified = ours.signs(&["127.0.0.1"]);
    for version in ["-tls1_2", "-tls1_3"] {
        let wanted = ["-Verify", "1", "-verify_return_error", "-CAfile", &ours.file, version];
        let server = Server::start(&folder, &certified, &wanted);
        let url = format!("ipfix+tls://127.0.0.1:{}?ca_file={}", server.port, ours.file);
        let as_whom = |authority: &Authority| {
            let client = authority.signs(&["weir"]);
            format!("{url}&cert_file={}&key_file={}", client.certificate, client.key)
        };
        let mut peer = target(&url).peer();
        let said = peer.connect().expect_err("it wants a certificate").to_string();
        match version {
            "-tls1_3" => {
                let by_grpc = mistake(&url.replace("ipfix+tls", "grpcs"));
                for said in [said, by_grpc] {
                    assert!(said.contains("it wants a certificate from us"), "{said}");
                }
            }
            _ => assert!(said.contains("alert HandshakeFailure"), "{said}"),
        }
        let said = target(&as_whom(&others)).peer().connect().expect_err("another authority's").to_string();
        assert!(said.contains("alert UnknownCA"), "{said}");
        assert_eq!(server.received(), b"");
        let mut peer = target(&as_whom(&ours)).peer();
        peer.connect().expect("it is let in");
        peer.send(&records(0..1)).expect("taken");
        peer.disconnect();
        wait_for("it is there", SOON, || (!server.received().is_empty()).then_some(()));
    }
}

/// A certificate that is renewed in its file is taken up by the next connection.
#[test]
fn what_is_renewed_is_taken_up() {
    let folder = Folder::new("secure");
    let (ours, others) = (Authority::new(&folder, "ours"), Authority::new(&folder, "others"));
    let server = Server::start(
        &folder,
        &ours.signs(&["127.0.0.1"]),
        &["-Verify", "1", "-verify_return_error", "-CAfile", &ours.file],
    );
    let (old, new) = (others.signs(&["weir"]), ours.signs(&["weir"]));
    let url = format!(
        "syslog+tls://127.0.0.1:{}?ca_file={}&cert_file={}&key_file={}",
        server.port, ours.file, old.certificate, old.key
    );
    let mut peer = target(&url).peer();
    peer.connect().expect_err("another authority's");
    fs::rename(&new.certificate, &old.certificate).expect("a file");
    fs::rename(&new.key, &old.key).expect("a file");
    peer.connect().expect("it is let in");
}

/// A peer that takes nothing more is given up on, as one without TLS is.
#[test]
fn a_peer_that_takes_nothing_is_given_up_on() {
    let folder = Folder::new("secure");
    let authority = Authority::new(&folder, "ours");
    let server = Server::start(&folder, &authority.signs(&["127.0.0.1"]), &[]);
    let url = format!("ipfix+tls://127.0.0.1:{}?ca_file={}", server.port, authority.file);
    let mut peer = target(&url).peer();
    peer.connect().expect("it is let in");
    server.stop_reading();
    let batch = records(0..5000);
    let said = wait_for("it takes no more", SOON, || peer.send(&batch).err()).to_string();
    assert!(said.contains("it takes nothing for 5 s"), "{said}");
    peer.disconnect();
}
