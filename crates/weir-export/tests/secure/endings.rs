//! How connections end, and what is known by that: whoever has closed in order has read everything.

use crate::authority::{Authority, Certified};
use crate::flows::records;
use crate::openssl::Server;
use crate::streams::SOON;
use crate::target;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{sleep, spawn};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::wait_for;

/// Takes one connection, and has shaken hands by then.
fn accepted(listener: &TcpListener, certified: &Certified) -> (ServerConnection, TcpStream) {
    let chain = CertificateDer::from_pem_file(&certified.certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&certified.key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(vec![chain], key);
    let mut tls = ServerConnection::new(Arc::new(config.expect("a key that fits"))).expect("a server");
    let (mut stream, _) = listener.accept().expect("a connection");
    while tls.is_handshaking() || tls.wants_write() {
        tls.complete_io(&mut stream).expect("a handshake");
    }
    (tls, stream)
}

fn end_tls(tls: &mut ServerConnection, stream: &mut TcpStream) {
    tls.send_close_notify();
    tls.write_tls(stream).expect("our kernel takes it");
}

fn reads_and_closes(mut tls: ServerConnection, mut stream: TcpStream) {
    Stream::new(&mut tls, &mut stream).read_exact(&mut [0; 100]).expect("a record");
    end_tls(&mut tls, &mut stream);
}

/// What a process leaves unread makes a reset of the end (RFC 1122, section 4.2.2.13), which comes after TLS's own.
fn closes_with_something_unread(mut tls: ServerConnection, mut stream: TcpStream) {
    stream.peek(&mut [0]).expect("a record");
    end_tls(&mut tls, &mut stream);
    sleep(Duration::from_millis(20));
}

fn ends_tls_alone(mut tls: ServerConnection, mut stream: TcpStream) {
    stream.peek(&mut [0]).expect("a record");
    end_tls(&mut tls, &mut stream);
    sleep(Duration::from_secs(1));
}

/// What a connection ends with on which the server does this after the handshake.
fn end(then: fn(ServerConnection, TcpStream)) -> io::Error {
    let folder = Folder::new("secure");
    let authority = Authority::new(&folder, "ours");
    let certified = authority.signs(&["127.0.0.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let server = spawn(move || {
        let (tls, stream) = accepted(&listener, &certified);
        then(tls, stream);
    });
    let mut peer = target(&format!("syslog+tls://127.0.0.1:{port}?ca_file={}", authority.file)).peer();
    peer.connect().expect("it is let in");
    peer.send(&records(0..1)).expect("our kernel takes it");
    let error = wait_for("its end is seen", SOON, || peer.look().err());
    server.join().expect("it does as it was told");
    error
}

#[test]
fn an_end_of_tls_is_not_yet_an_end_in_order() {
    let in_order = end(reads_and_closes);
    assert_eq!(in_order.kind(), ErrorKind::UnexpectedEof, "{in_order}");
    for cut in [end(closes_with_something_unread), end(ends_tls_alone)] {
        assert_ne!(cut.kind(), ErrorKind::UnexpectedEof, "{cut}");
    }
}

/// What is seen of a peer while nothing is sent: that it is there, that it has closed in order, that it was killed.
#[test]
fn an_end_in_order_is_told_from_a_reset() {
    let folder = Folder::new("secure");
    let authority = Authority::new(&folder, "ours");
    let certified = authority.signs(&["127.0.0.1"]);
    for is_stopped in [false, true] {
        let server = Server::start(&folder, &certified, &[]);
        let url = format!("syslog+tls://127.0.0.1:{}?ca_file={}", server.port, authority.file);
        let mut peer = target(&url).peer();
        peer.connect().expect("it is let in");
        peer.send(&records(0..1)).expect("taken");
        wait_for("it is read", SOON, || (!server.received().is_empty()).then_some(()));
        peer.look().expect("it is there");
        if is_stopped {
            server.stop_reading();
            peer.send(&records(1..2)).expect("our kernel takes it");
            sleep(Duration::from_millis(50));
        }
        server.kill();
        let error = wait_for("its end is seen", SOON, || peer.look().err());
        let is_in_order = error.kind() == std::io::ErrorKind::UnexpectedEof;
        assert_eq!(is_in_order, !is_stopped, "{error}");
    }
}
