//! Whom we do not trust, and why: said in one line, by a stream and by HTTP alike.

use crate::authority::{Authority, Certified, params, self_signed};
use crate::openssl::Server;
use crate::{mistake, target};
use rcgen::{BasicConstraints, IsCa, date_time_ymd};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use weir_tests::folder::Folder;

const HERE: [&str; 2] = ["127.0.0.1", "localhost"];

/// What both say of a server that shows this, where `ca_file` is that.
fn assert_distrusted(folder: &Folder, shown: &Certified, ca_file: &str, wanted: &str) {
    let server = Server::start(folder, shown, &[]);
    for scheme in ["syslog+tls", "ipfix+tls", "https", "grpcs"] {
        let said = mistake(&format!("{scheme}://127.0.0.1:{}?ca_file={ca_file}", server.port));
        assert!(said.contains(&format!("its certificate {wanted}")), "{scheme}: {said}");
        assert!(said.contains(&format!("127.0.0.1:{}", server.port)), "{scheme}: {said}");
    }
    assert_eq!(server.received(), b"", "nothing is sent to whoever is not trusted");
}

#[test]
fn each_wrong_certificate_is_called_by_what_is_wrong() {
    let folder = Folder::new("secure");
    let (ours, others) = (Authority::new(&folder, "ours"), Authority::new(&folder, "others"));
    let mut old = params(&HERE);
    (old.not_before, old.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    assert_distrusted(&folder, &ours.signs_as(old), &ours.file, "has expired (2020-01-01T00:00:00Z)");
    let mut young = params(&HERE);
    (young.not_before, young.not_after) = (date_time_ymd(2999, 1, 1), date_time_ymd(3000, 1, 1));
    let wanted = "is not valid yet (from 2999-01-01T00:00:00Z on)";
    assert_distrusted(&folder, &ours.signs_as(young), &ours.file, wanted);
    let elsewhere = ours.signs(&["collector.example", "192.0.2.1"]);
    let wanted = "is not for 127.0.0.1: it is for collector.example, 192.0.2.1";
    assert_distrusted(&folder, &elsewhere, &ours.file, wanted);
    assert_distrusted(&folder, &others.signs(&HERE), &ours.file, "is signed by nobody who is trusted here");
    let itself = self_signed(&folder, params(&HERE));
    assert_distrusted(&folder, &itself, &ours.file, "is signed by nobody who is trusted here");
    // As `openssl req -x509` makes them.
    let mut authority = params(&HERE);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_distrusted(&folder, &self_signed(&folder, authority), &ours.file, "is an authority's own");
}

/// One that has signed itself is its own authority, where it is named as one; names and addresses are both names.
#[test]
fn who_is_trusted_is_a_matter_of_the_file() {
    let folder = Folder::new("secure");
    let itself = self_signed(&folder, params(&HERE));
    let server = Server::start(&folder, &itself, &[]);
    for host in HERE {
        let url = format!("syslog+tls://{host}:{}?ca_file={}", server.port, itself.certificate);
        target(&url).test(0).unwrap_or_else(|error| panic!("{url}: {error}"));
    }
}

/// A file that is missing, holds something else, or holds the key of another certificate.
#[test]
fn files_that_are_of_no_use_are_named() {
    let folder = Folder::new("secure");
    let ours = Authority::new(&folder, "ours");
    let (one, other) = (ours.signs(&["one"]), ours.signs(&["other"]));
    let empty = folder.write("empty", "");
    // Between an authority and a key of nobody's.
    let broken = folder.write("broken", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    let (ca, missing) = (&ours.file, folder.path("missing"));
    for (ca, certificate, key, wanted) in [
        (&missing, &one.certificate, &one.key, format!("cannot read {missing}: No such file")),
        (&empty, &one.certificate, &one.key, format!("{empty} holds no certificate")),
        (ca, &missing, &one.key, format!("cannot read {missing}")),
        (ca, &one.key, &one.key, format!("{} holds no certificate", one.key)),
        (ca, &one.certificate, &one.certificate, format!("{} holds no private key", one.certificate)),
        (ca, &one.certificate, &broken, "cannot be used".into()),
        (
            ca,
            &one.certificate,
            &other.key,
            format!("the key in {} is not that of {}", other.key, one.certificate),
        ),
    ] {
        for scheme in ["syslog+tls", "https", "grpcs"] {
            let url = format!("{scheme}://127.0.0.1:1/?ca_file={ca}&cert_file={certificate}&key_file={key}");
            let said = mistake(&url);
            assert!(said.contains(&wanted), "{scheme}: {said}, not {wanted}");
            assert!(!said.contains("c2VjcmV0"), "{said}");
        }
    }
}

/// Whoever listens and does this with each connection.
fn listener(then: fn(std::net::TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || listener.incoming().flatten().for_each(then));
    port
}

#[test]
fn whoever_speaks_no_tls_is_told_of() {
    let folder = Folder::new("secure");
    let authority = Authority::new(&folder, "ours").file;
    let plain = listener(|mut stream| {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
        let _ = stream.read(&mut [0; 4096]);
    });
    let closing = listener(|mut stream| drop(stream.read(&mut [0; 4096])));
    let silent = listener(std::mem::forget);
    for (scheme, port, wanted) in [
        ("syslog+tls", plain, "it does not speak TLS"),
        ("https", plain, "it does not speak TLS"),
        ("ipfix+tls", closing, "it closes the connection when it should begin TLS"),
        ("ipfix+tls", silent, "it does not answer in TLS for 5 s"),
        ("https", silent, "it does not answer within 5 s"),
        ("grpcs", plain, "it does not speak TLS"),
        ("grpcs", closing, "it closes the connection when it should begin TLS"),
        ("grpcs", silent, "it does not answer in TLS for 5 s"),
    ] {
        let said = mistake(&format!("{scheme}://127.0.0.1:{port}/?ca_file={authority}"));
        assert!(said.contains(wanted), "{scheme}: {said}, not {wanted}");
    }
}
