//! TLS and logins: who is let in, and what those hear who are not.

use crate::authority::{Authority, params};
use crate::brokers::Brokers;
use crate::flows::{count, once, records};
use crate::relay::{Relay, Wants, tls};
use crate::sasl::{Gate, Mechanism};
use crate::scram::Hash;
use crate::{mistake, target};
use weir_tests::folder::Folder;

fn gate(mechanism: Mechanism) -> Gate {
    Gate { user: "weir", password: "s3cret word", mechanism }
}

fn send(url: &str) {
    let mut peer = target(url).peer();
    peer.connect().expect("it is let in");
    peer.send(&records(0..100)).expect("taken");
    peer.disconnect();
}

/// Whoever has a certificate of the authority's is let in; others, and we where the broker's is not right, say so.
#[test]
fn certificates() {
    let (folder, brokers) = (Folder::new("kafka"), Brokers::start(1, 3));
    let (ours, others) = (Authority::new(&folder, "ours"), Authority::new(&folder, "others"));
    let server = ours.signs(&["127.0.0.2"]);
    let relay = Relay::start(brokers.port(), Wants { tls: Some(tls(&server, Some(&ours))), login: None });
    let url = relay.url("kafka+tls", &format!("/flows?ca_file={}", ours.file));
    let as_whom = |authority: &Authority<'_>| {
        let client = authority.signs(&["weir"]);
        format!("{url}&cert_file={}&key_file={}", client.certificate, client.key)
    };
    let said = mistake(&url);
    assert!(said.contains("it wants a certificate from us"), "{said}");
    let said = mistake(&as_whom(&others));
    assert!(said.contains("alert"), "{said}");
    let said = mistake(&relay.url("kafka+tls", &format!("/flows?ca_file={}", others.file)));
    assert!(said.contains("signed by nobody who is trusted here"), "{said}");
    assert!(brokers.read().is_empty());
    send(&as_whom(&ours));
    assert_eq!(count(&brokers.objects()), once(0..100));
}

#[test]
fn certificates_that_are_not_the_brokers() {
    let (folder, brokers) = (Folder::new("kafka"), Brokers::start(1, 1));
    let ours = Authority::new(&folder, "ours");
    let mut old = params(&["127.0.0.2"]);
    old.not_after = rcgen::date_time_ymd(2020, 1, 31);
    for (certified, part) in [
        (ours.signs_as(old), "its certificate has expired (2020-01-31"),
        (ours.signs(&["127.0.0.3"]), "is not for 127.0.0.2: it is for 127.0.0.3"),
    ] {
        let relay = Relay::start(brokers.port(), Wants { tls: Some(tls(&certified, None)), login: None });
        let said = mistake(&relay.url("kafka+tls", &format!("/flows?ca_file={}", ours.file)));
        assert!(said.contains(part), "{said}");
    }
    let relay = Relay::start(brokers.port(), Wants::default());
    let said = mistake(&relay.url("kafka+tls", &format!("/flows?ca_file={}", ours.file)));
    assert!(["TLS", "closed", "reset"].iter().any(|word| said.contains(word)), "{said}");
}

/// A password is asked for, and what is wrong with it is said in the broker's words.
#[test]
fn logins() {
    let (folder, brokers) = (Folder::new("kafka"), Brokers::start(1, 3));
    let ours = Authority::new(&folder, "ours");
    let server = tls(&ours.signs(&["127.0.0.2"]), None);
    let relay =
        Relay::start(brokers.port(), Wants { tls: Some(server), login: Some(gate(Mechanism::Plain)) });
    let (right, wrong) = (folder.write("right", "s3cret word\n"), folder.write("wrong", "guess"));
    let url = |options: &str| relay.url("kafka+tls", &format!("/flows?ca_file={}&{options}", ours.file));
    let said = mistake(&url(&format!("user=weir&password_file={wrong}&sasl=plain")));
    assert!(said.contains("Authentication failed: Invalid username or password"), "{said}");
    assert!(!said.contains("guess"), "{said}");
    let said = mistake(&url(&format!("user=weir&password_file={right}")));
    assert!(said.contains("SCRAM-SHA-512") && said.contains("PLAIN"), "{said}");
    let said = mistake(&url(&format!("user=weir&password_file={}&sasl=plain", folder.path("none"))));
    assert!(said.contains("cannot read"), "{said}");
    let said = mistake(&url("name=x"));
    assert!(said.contains("cannot send to topic flows"), "{said}");
    assert!(brokers.read().is_empty());
    send(&url(&format!("user=weir&password_file={right}&sasl=plain")));
    assert_eq!(count(&brokers.objects()), once(0..100));
}

/// A password that nobody is told; who asks for it has to know it, too.
#[test]
fn passwords_that_are_only_proved() {
    let (folder, brokers) = (Folder::new("kafka"), Brokers::start(1, 3));
    let ours = Authority::new(&folder, "ours");
    let server = ours.signs(&["127.0.0.2"]);
    let (right, wrong) = (folder.write("right", "s3cret word\n"), folder.write("wrong", "guess"));
    for (turn, (hash, option)) in
        [(Hash::Sha512, ""), (Hash::Sha512, "&sasl=scram-sha-512"), (Hash::Sha256, "&sasl=scram-sha-256")]
            .into_iter()
            .enumerate()
    {
        let login = Some(gate(Mechanism::Scram(hash)));
        let relay = Relay::start(brokers.port(), Wants { tls: Some(tls(&server, None)), login });
        let url = |password: &str| {
            let options = format!("/flows?ca_file={}&user=weir&password_file={password}{option}", ours.file);
            relay.url("kafka+tls", &options)
        };
        let said = mistake(&url(&wrong));
        assert!(said.contains("Authentication failed: Invalid username or password"), "{said}");
        assert!(!said.contains("guess"), "{said}");
        assert_eq!(brokers.objects().len(), 100 * turn);
        send(&url(&right));
        assert_eq!(brokers.objects().len(), 100 * (turn + 1));
    }
}

/// One that knows no SASL is not told a password.
#[test]
fn a_broker_without_logins() {
    let (folder, brokers) = (Folder::new("kafka"), Brokers::start(1, 1));
    let password = folder.write("password", "s3cret word");
    let said = mistake(&brokers.url(&format!("?user=weir&password_file={password}")));
    assert!(said.contains("SASL") && !said.contains("s3cret"), "{said}");
}
