//! Collectors that go, hang, or say what is no gRPC: each record is there once they are back.

use crate::collector::{Collector, USUAL, answers, taken};
use crate::flows::{count, once, records};
use crate::{SOON, courier, folder, go_on, peer};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;
use weir_export::Courier;
use weir_record::PeerState;
use weir_tests::{free_port, wait_for};

fn until_nothing_waits(courier: &mut Courier) {
    wait_for("nothing waits", SOON, || (go_on(courier).spooled_records == 0).then_some(()));
}

fn until_it_fails(courier: &mut Courier) -> PeerState {
    wait_for("it fails", SOON, || Some(go_on(courier)).filter(|state| state.failures > 0))
}

#[test]
fn a_collector_that_is_restarted_has_each_once() {
    let (folder, port) = (folder(), free_port());
    let mut courier = courier(&folder, &format!("grpc://127.0.0.1:{port}"));
    let first = Collector::start(&folder, port, USUAL, &[]);
    courier.write(&records(0..300)).expect("taken");
    assert_eq!(go_on(&mut courier).spooled_records, 0);
    drop(first);
    courier.write(&records(300..600)).expect("on disk");
    let away = until_it_fails(&mut courier);
    assert_eq!((away.spooled_records, away.delivered_records), (300, 300), "{away:?}");
    let _second = Collector::start(&folder, port, USUAL, &[]);
    courier.write(&records(600..900)).expect("on disk");
    until_nothing_waits(&mut courier);
    courier.finish().expect("it lasts");
    assert_eq!(count(&taken(&folder)), once(0..900));
}

/// One that closes connections that have rested is not away.
#[test]
fn a_connection_that_was_closed_at_rest_is_made_anew() {
    let (folder, port) = (folder(), free_port());
    folder.write("rest", "300");
    let _collector = Collector::start(&folder, port, USUAL, &[]);
    let mut peer = peer(&format!("grpc://127.0.0.1:{port}"));
    peer.send(&records(0..100)).expect("taken");
    // Longer than it lets a connection rest.
    thread::sleep(Duration::from_secs(2));
    peer.send(&records(100..200)).expect("taken");
    assert_eq!(count(&taken(&folder)), once(0..200));
}

#[test]
fn a_collector_that_hangs_has_each_once_it_goes_on() {
    let (folder, port) = (folder(), free_port());
    let mut courier = courier(&folder, &format!("otlp+grpc://127.0.0.1:{port}?fields=flow_id,start,end"));
    let _collector = Collector::start(&folder, port, USUAL, &[]);
    answers(&folder, "stall");
    courier.write(&records(0..300)).expect("on disk");
    let away = until_it_fails(&mut courier);
    assert!(
        away.error.as_ref().is_some_and(|error| error.ends_with("it does not answer within 5 s")),
        "{away:?}"
    );
    answers(&folder, "ok");
    until_nothing_waits(&mut courier);
    let mut ids: Vec<_> =
        taken(&folder).iter().map(|log| log["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    assert_eq!(ids, (0..300).map(|number| format!("{number:016x}")).collect::<Vec<_>>());
}

/// A frame of HTTP/2: its length, its type, its flags, its stream.
fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[1..], &[kind, flags, 0, 0, 0, stream], content].concat()
}

/// A header that is in no table (RFC 7541, section 6.2.2).
fn header(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// Whoever says the one to each connection, and the other once records have come.
fn says(first: Vec<u8>, then: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(&first);
            let (mut heard, mut room) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stream.read(&mut room) {
                let had = has_records(&heard);
                heard.extend(&room[..count]);
                if !had && has_records(&heard) {
                    let _ = stream.write_all(&then);
                }
            }
        }
    });
    port
}

fn has_records(heard: &[u8]) -> bool {
    heard.windows(4).any(|word| word == b"eth0")
}

/// What is said of ten records by whoever speaks so.
fn said(first: &[u8], then: &[u8]) -> String {
    let folder = folder();
    let mut courier = courier(&folder, &format!("grpc://127.0.0.1:{}", says(first.to_vec(), then.to_vec())));
    courier.write(&records(0..10)).expect("on disk");
    let away = until_it_fails(&mut courier);
    assert_eq!((away.spooled_records, away.refused_records), (10, 0), "{away:?}");
    away.error.expect("why")
}

#[test]
fn noise_is_no_answer() {
    let noise: Vec<u8> = (0..5000_u32).map(|number| ((number * 7919) >> 3) as u8).collect();
    for words in [&noise[..], b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"] {
        let error = said(words, &[]);
        // It depends on whether it is heard when hands are shaken, or when records are sent.
        let is_said = error.contains("it breaks off: ") || error.ends_with("or speaks no HTTP/2");
        assert!(error.contains("127.0.0.1:") && is_said, "{error}");
    }
}

/// Pages without a status, and a status whose details are no Base64.
#[test]
fn what_is_not_grpc_is_no_answer() {
    let settings = frame(4, 0, 0, &[]);
    let answer = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| header(name, value)).collect();
        frame(1, 5, 1, &fields.concat())
    };
    for (fields, wanted) in [
        (&[(":status", "200"), ("content-type", "text/html")][..], "the server answers "),
        (&[(":status", "413"), ("content-type", "text/html")], "HTTP status code 413"),
        (
            &[(":status", "200"), ("grpc-status", "3"), ("grpc-status-details-bin", "%%%")],
            "what it says is not gRPC",
        ),
    ] {
        let error = said(&settings, &answer(fields));
        assert!(error.contains(wanted), "{error}, not {wanted}");
    }
}
