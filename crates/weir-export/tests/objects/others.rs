//! Google's and Azure's stores.

use crate::common::stores::{ACCOUNT, KEY, azurite, google, google_account, rows};
use crate::{NOON, courier, hold, records, state, target, until};
use serde_json::Value;
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::free_port;
use weir_tests::shell::Shell;

/// To a server that is away at first; the same objects once more are in the same place.
fn arrives(provider: &str, url: &str, endpoint: &str, start: impl FnOnce() -> Shell) {
    let (folder, sent) = (Folder::new("objects"), records(1, 90));
    let mut courier = courier(&folder, &format!("{url}&every=1s"));
    sent.chunks(30).for_each(|batch| courier.write(batch).expect("it waits on disk"));
    std::thread::sleep(Duration::from_millis(1100));
    courier.go_on();
    assert_eq!(state(&courier).spooled_records, 90, "{:?}", courier.state());
    let _server = start();
    assert_eq!(rows(provider, endpoint), Vec::<Value>::new());
    until(&mut courier, 0);
    let state = state(&courier);
    assert_eq!((state.delivered_records, state.refused_records, state.damaged_records), (90, 0, 0));
    hold(&rows(provider, endpoint), &sent, 2);
    let mut peer = target(url).peer();
    peer.connect().expect("it is there");
    peer.send(&sent.iter().rev().cloned().collect::<Vec<_>>()).expect("it takes them");
    hold(&rows(provider, endpoint), &sent, 2);
}

#[test]
fn googles_has_every_field() {
    let (folder, port) = (Folder::new("objects"), free_port());
    let endpoint = format!("http://127.0.0.1:{port}");
    let account = google_account(&folder);
    let url = format!("gs://flows/lab/a?endpoint={endpoint}&credentials_file={account}");
    arrives("google", &url, &endpoint, || google(port));
}

#[test]
fn azures_has_every_field() {
    let (folder, port) = (Folder::new("objects"), free_port());
    let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
    let url = |key: &str| {
        let key = folder.write("secret", format!("{key}\n"));
        format!("az://flows/lab/a?endpoint={endpoint}&user={ACCOUNT}&password_file={key}")
    };
    arrives("azure", &url(KEY), &endpoint, || azurite(port));
    let _server = azurite(port);
    // No container, and then another's key.
    let said = target(&url(KEY)).test(NOON).expect_err("nowhere").to_string();
    assert!(said.contains("there is no such place: it answers ContainerNotFound"), "{said}");
    let said = target(&url("czNjcmV0")).test(NOON).expect_err("wrong").to_string();
    assert!(said.contains("it does not let us in: it answers AuthorizationFailure"), "{said}");
    assert!(!said.contains('\n') && !said.contains("czNjcmV0"), "{said}");
}
