//! Within TLS: whom we do not trust, who does not let us in, and why.

use crate::authority::{Authority, Certified, params, self_signed};
use crate::collector::{Collector, USUAL, taken};
use crate::flows::{count, once, records};
use crate::{SOON, courier, folder, go_on, target};
use rcgen::date_time_ymd;
use std::fs;
use weir_tests::folder::Folder;
use weir_tests::{free_port, wait_for};

fn mistake(url: &str) -> String {
    target(url).test(0).expect_err(url).to_string()
}

fn serve(folder: &Folder, certified: &Certified, authority: &[&str]) -> (Collector, u16) {
    let port = free_port();
    let files = [&[certified.certificate.as_str(), &certified.key], authority].concat();
    (Collector::start(folder, port, USUAL, &files), port)
}

#[test]
fn each_wrong_certificate_is_called_by_what_is_wrong() {
    let folder = folder();
    let (ours, others) = (Authority::new(&folder, "ours"), Authority::new(&folder, "others"));
    let mut old = params(&["127.0.0.1"]);
    (old.not_before, old.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    for (shown, wanted) in [
        (ours.signs_as(old), "its certificate has expired (2020-01-01T00:00:00Z)"),
        (
            ours.signs(&["collector.example"]),
            "its certificate is not for 127.0.0.1: it is for collector.example",
        ),
        (others.signs(&["127.0.0.1"]), "its certificate is signed by nobody who is trusted here"),
    ] {
        let (_collector, port) = serve(&folder, &shown, &[]);
        for scheme in ["grpcs", "otlp+grpcs"] {
            let said = mistake(&format!("{scheme}://127.0.0.1:{port}?ca_file={}", ours.file));
            assert!(said.starts_with(&format!("cannot connect to 127.0.0.1:{port}: {wanted}")), "{said}");
        }
    }
    assert!(taken(&folder).is_empty(), "nothing is sent to whoever is not trusted");
}

#[test]
fn one_that_has_signed_itself_is_trusted_where_it_is_named() {
    let folder = folder();
    let itself = self_signed(&folder, params(&["localhost"]));
    let (_collector, port) = serve(&folder, &itself, &[]);
    let url = format!("grpcs://localhost:{port}?ca_file={}", itself.certificate);
    target(&url).test(0).unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_eq!(taken(&folder).len(), 1);
}

#[test]
fn who_is_trusted_is_sent_to_and_may_want_to_know_who_we_are() {
    let folder = folder();
    let (ours, others) = (Authority::new(&folder, "ours"), Authority::new(&folder, "others"));
    let (_collector, port) = serve(&folder, &ours.signs(&["127.0.0.1"]), &[&ours.file]);
    let url = format!("grpcs://127.0.0.1:{port}?ca_file={}", ours.file);
    let said = mistake(&url);
    // This server says no more to whoever has none.
    assert!(said.contains("it has closed the connection"), "{said}");
    let as_whom =
        |client: &Certified| format!("{url}&cert_file={}&key_file={}", client.certificate, client.key);
    let said = mistake(&as_whom(&others.signs(&["weir"])));
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    let mut courier = courier(&folder, &as_whom(&ours.signs(&["weir"])));
    courier.write(&records(0..100)).expect("taken");
    assert_eq!(go_on(&mut courier).spooled_records, 0);
    assert_eq!(count(&taken(&folder)), once(0..100));
}

/// A wrong password keeps records until it is right, and is said to nobody else.
#[test]
fn a_wrong_password_keeps_records_until_it_is_right() {
    let folder = folder();
    let (port, secret) = (free_port(), folder.write("secret", "wr0ng"));
    let _collector = Collector::start(&folder, port, USUAL, &[]);
    // The word is base64 of `weir:right`.
    folder.write("login", "Basic d2VpcjpyaWdodA==");
    let mut courier = courier(&folder, &format!("grpc://127.0.0.1:{port}?user=weir&password_file={secret}"));
    courier.write(&records(0..100)).expect("on disk");
    let away =
        wait_for("it fails again", SOON, || Some(go_on(&mut courier)).filter(|state| state.failures > 1));
    let said = away.error.expect("why");
    assert!(
        said.ends_with("the server answers Unauthenticated: who are you?") && away.refused_records == 0,
        "{said}"
    );
    fs::write(&secret, "right\n").expect("a file");
    wait_for("nothing waits", SOON, || (go_on(&mut courier).spooled_records == 0).then_some(()));
    assert_eq!(count(&taken(&folder)), once(0..100));
}
