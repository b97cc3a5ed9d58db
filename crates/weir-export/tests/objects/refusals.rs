//! Servers that do not take an object, and what is said of it: in a line, and without secrets.

use crate::authority::Authority;
use crate::between::says;
use crate::moto::Moto;
use crate::{NOON, hold, records, target, url};
use weir_tests::folder::Folder;
use weir_tests::free_port;

/// Tries it once: what it says that is wrong.
fn mistake(url: &str) -> String {
    let said = target(url).test(NOON).expect_err(url).to_string();
    assert!(!said.contains('\n') && !said.contains("s3cret"), "{said}");
    said
}

#[test]
fn servers_that_do_not_take_it() {
    let folder = Folder::new("objects");
    let at = |port: u16| url(&folder, &format!("http://127.0.0.1:{port}"), "");
    let said = mistake(&at(free_port()));
    assert!(said.starts_with("s3://flows/lab/a: ") && said.contains("onnection refused"), "{said}");
    let said = mistake(&at(says("hello there\r\n\r\n")));
    assert!(said.starts_with("s3://flows/lab/a: "), "{said}");
    // It looks as if it had taken it.
    let said = mistake(&at(says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")));
    assert!(said.starts_with("s3://flows/lab/a: "), "{said}");
    let said = mistake(&at(says("HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n")));
    assert!(said.contains("it answers 503"), "{said}");
    let said = mistake(&at(says("")));
    assert!(said.contains("it does not answer within 10 s"), "{said}");
}

#[test]
fn no_bucket_and_no_key() {
    let folder = Folder::new("objects");
    let moto = Moto::start(free_port());
    let elsewhere = url(&folder, &moto.endpoint(), "").replace("s3://flows/", "s3://elsewhere/");
    let said = mistake(&elsewhere);
    assert!(said.contains("there is no such place: it answers NoSuchBucket"), "{said}");
    let moto = Moto::distrustful(free_port());
    let said = mistake(&url(&folder, &moto.endpoint(), ""));
    assert!(said.contains("it does not let us in: it answers InvalidAccessKeyId"), "{said}");
    let lost = url(&folder, &moto.endpoint(), "").replace("/secret", "/lost");
    let said = mistake(&lost);
    assert!(said.contains("cannot read") && said.contains("/lost"), "{said}");
}

#[test]
fn who_cannot_prove_to_be_it() {
    let folder = Folder::new("objects");
    let authority = Authority::new(&folder, "ours");
    let server = authority.signs(&["127.0.0.1"]);
    let moto = Moto::secured(free_port(), &server.certificate, &server.key);
    let said = mistake(&url(&folder, &moto.endpoint(), ""));
    assert!(said.contains("its certificate is signed by nobody who is trusted here"), "{said}");
    let trusting = format!("&ca_file={}", authority.file);
    let by_name = url(&folder, &moto.endpoint().replace("127.0.0.1", "localhost"), &trusting);
    let said = mistake(&by_name);
    assert!(said.contains("its certificate is not for localhost"), "{said}");
    let mut peer = target(&url(&folder, &moto.endpoint(), &trusting)).peer();
    peer.connect().expect("the files can be read");
    let sent = records(1, 20);
    peer.send(&sent).expect("it takes them");
    hold(&moto.rows(), &sent, 2);
}
