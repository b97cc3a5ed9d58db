//! nginx over TLS: who has the wrong password, token or certificate keeps what it has until it has the right one.

use crate::authority::Authority;
use crate::flows::{count, once, parsed, records};
use crate::nginx::Nginx;
use crate::streams::settle;
use crate::{courier, mistake, state, target};
use std::fs;
use std::time::Duration;
use weir_export::Courier;
use weir_record::PeerCondition;
use weir_tests::folder::Folder;
use weir_tests::wait_for;

const SOON: Duration = Duration::from_secs(30);

/// Asks far more often than it may try: how often it had time to.
fn until_it_has_failed(courier: &mut Courier, times: u64) -> u64 {
    let mut asked = 0;
    wait_for("it is tried again", SOON, || {
        courier.settle().expect("it lasts");
        courier.go_on();
        asked += 1;
        (state(courier).failures >= times).then_some(())
    });
    asked
}

/// A secret that is wrong, in a file that gets the right one later.
fn assert_kept_until_right(place: &str, option: &str, wrong: &str, right: &str) {
    let folder = Folder::new("secure");
    let authority = Authority::new(&folder, "ours");
    let server = Nginx::start(&folder, &authority, &authority.signs(&["127.0.0.1"]), "off");
    let secret = folder.write("secret", format!("{wrong}\n"));
    let url = format!(
        "https://127.0.0.1:{}/{place}?ca_file={}&{option}={secret}&fields=flow_id,start,end",
        server.port, authority.file
    );
    let mut courier = courier(&folder, &url);
    courier.write(&records(0..300)).expect("on disk");
    let asked = until_it_has_failed(&mut courier, 4);
    courier.write(&records(300..400)).expect("on disk");
    let away = state(&courier);
    assert_eq!((away.condition, away.spooled_records, away.refused_records), (PeerCondition::Away, 400, 0));
    let said = away.error.expect("why");
    assert!(said.contains("the server answers 401 Unauthorized"), "{said}");
    assert!(!said.contains(wrong) && !format!("{:?}", target(&url)).contains(wrong), "{said}");
    let answers = server.answers();
    assert_eq!(answers.len() as u64, away.failures, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.starts_with(&format!("401 /{place}"))), "{answers:?}");
    assert!(asked > 10 * away.failures, "it waits between: asked {asked} times, tried {}", away.failures);
    folder.write("secret", right);
    settle(&mut courier);
    courier.write(&records(400..500)).expect("taken");
    courier.finish().expect("it lasts");
    let bodies = wait_for("all is logged", SOON, || {
        Some(server.bodies()).filter(|bodies| bodies.lines().count() >= 500)
    });
    assert_eq!(count(&parsed(&bodies)), once(0..500));
}

#[test]
fn a_wrong_password_keeps_records_until_it_is_right() {
    assert_kept_until_right("basic", "user=weir&password_file", "wr0ng word", "s3cret word\n");
}

#[test]
fn a_wrong_token_keeps_records_until_it_is_right() {
    assert_kept_until_right("token", "token_file", "wr0ng-token", "s3cret-token");
}

/// nginx answers 400, which is what it says of a batch that is wrong, too: it is not the batch.
#[test]
fn a_wrong_certificate_keeps_records_until_it_is_right() {
    let folder = Folder::new("secure");
    let (ours, others) = (Authority::new(&folder, "ours"), Authority::new(&folder, "others"));
    let server = Nginx::start(&folder, &ours, &ours.signs(&["127.0.0.1"]), "on");
    let url = format!("https://127.0.0.1:{}/certificate?ca_file={}", server.port, ours.file);
    let said = mistake(&url);
    assert!(said.contains("400 Bad Request: it wants a certificate from us"), "{said}");
    let said = mistake(&format!("http://127.0.0.1:{}/certificate", server.port));
    assert!(said.contains("400 Bad Request: there it speaks HTTPS"), "{said}");
    let (client, right) = (others.signs(&["weir"]), ours.signs(&["weir"]));
    let mut courier =
        courier(&folder, &format!("{url}&cert_file={}&key_file={}", client.certificate, client.key));
    courier.write(&records(0..300)).expect("on disk");
    let away = state(&courier);
    assert_eq!((away.condition, away.spooled_records, away.refused_records), (PeerCondition::Away, 300, 0));
    let said = away.error.expect("why");
    assert!(said.contains("400 Bad Request: it does not take our certificate"), "{said}");
    fs::rename(&right.certificate, &client.certificate).expect("a file");
    fs::rename(&right.key, &client.key).expect("a file");
    settle(&mut courier);
    courier.finish().expect("it lasts");
    let bodies = wait_for("all is logged", SOON, || {
        Some(server.bodies()).filter(|bodies| bodies.lines().count() >= 300)
    });
    assert_eq!(count(&parsed(&bodies)), once(0..300));
}

/// What is in the files is told to nobody but the server, and has to be what it is said to be.
#[test]
fn files_that_hold_no_secret_are_named() {
    let folder = Folder::new("secure");
    let missing = folder.path("missing");
    for (option, content, wanted) in [
        ("token_file", "two words", "holds no token: one word, in one line"),
        ("token_file", "\n", "holds no token"),
        ("user=weir&password_file", "one\ntwo", "holds no password: one line"),
        ("user=weir&password_file", "", "holds no password"),
    ] {
        let file = folder.write("secret", content);
        let said = mistake(&format!("http://127.0.0.1:1/?{option}={file}"));
        assert!(said.contains(&file) && said.contains(wanted), "{said}, not {wanted}");
        assert!(content.trim().is_empty() || !said.contains(content), "{said}");
        let said = mistake(&format!("http://127.0.0.1:1/?{option}={missing}"));
        assert!(said.contains(&format!("cannot read {missing}")), "{said}");
    }
}
