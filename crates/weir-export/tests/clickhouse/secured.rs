//! Within TLS, and behind a password: nginx before the engine.

use crate::common::authority::{Authority, Certified, params};
use crate::common::clickhouse::ClickHouse;
use crate::common::{mistake, web};
use crate::{courier, records, state, until};
use rcgen::date_time_ymd;
use weir_record::PeerCondition;
use weir_tests::folder::Folder;
use weir_tests::free_port;
use weir_tests::shell::Shell;

const CONFIGURATION: &str = r"
daemon off; master_process off; pid PLACE/nginx.pid; events { }
http {
    client_body_temp_path PLACE/t; proxy_temp_path PLACE/t; fastcgi_temp_path PLACE/t; uwsgi_temp_path PLACE/t;
    scgi_temp_path PLACE/t; client_max_body_size 100m; access_log off;
    server {
        listen 127.0.0.1:NEAR ssl; ssl_certificate CERTIFICATE; ssl_certificate_key KEY;
        location / { auth_basic weir; auth_basic_user_file PLACE/users; proxy_pass http://127.0.0.1:FAR; }
    }
}
";

/// Before this server, for the user `weir` with the password `s3cret word`.
fn before(server: &ClickHouse, folder: &Folder, certified: &Certified) -> (Shell, u16) {
    let port = free_port();
    folder.write("users", "weir:{PLAIN}s3cret word\n");
    let configuration = CONFIGURATION
        .replace("PLACE", &folder.place().display().to_string())
        .replace("NEAR", &port.to_string())
        .replace("FAR", &server.port().to_string())
        .replace("CERTIFICATE", &certified.certificate)
        .replace("KEY", &certified.key);
    (web::nginx(folder, &configuration, port), port)
}

/// Who has the wrong password keeps what it has until it is right; then each is there once.
#[test]
fn a_wrong_password_keeps_records_until_it_is_right() {
    let (mut server, folder) = (ClickHouse::new(), Folder::new("clickhouse_secured"));
    server.start();
    let authority = Authority::new(&folder, "ours");
    let (_nginx, port) = before(&server, &folder, &authority.signs(&["127.0.0.1"]));
    let password = folder.write("password", "wr0ng word\n");
    let url = format!(
        "clickhouse+tls://127.0.0.1:{port}/weir?ca_file={}&user=weir&password_file={password}",
        authority.file
    );
    let mut courier = courier(&folder, &url);
    courier.write(&records(1, 200)).expect("it waits on disk");
    let away = state(&courier);
    assert_eq!((away.condition, away.spooled_records, away.refused_records), (PeerCondition::Away, 200, 0));
    let said = away.error.expect("why");
    assert!(said.contains("401") && !said.contains("wr0ng"), "{said}");
    folder.write("password", "s3cret word\n");
    until(&mut courier, 0);
    courier.write(&records(201, 100)).expect("taken");
    courier.finish().expect("it lasts");
    assert_eq!(server.rows("weir"), [300, 300]);
}

#[test]
fn a_certificate_that_is_not_good_is_called_by_what_is_wrong() {
    let (server, folder) = (ClickHouse::new(), Folder::new("clickhouse_secured"));
    let (ours, others) = (Authority::new(&folder, "ours"), Authority::new(&folder, "others"));
    let mut old = params(&["127.0.0.1"]);
    (old.not_before, old.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    for (certified, wanted) in [
        (ours.signs_as(old), "has expired"),
        (others.signs(&["127.0.0.1"]), "is signed by nobody who is trusted here"),
    ] {
        let folder = Folder::new("clickhouse_nginx");
        let (_nginx, port) = before(&server, &folder, &certified);
        let said = mistake(&format!("clickhouse+tls://127.0.0.1:{port}/weir?ca_file={}", ours.file));
        assert!(said.contains(wanted), "{said}");
    }
}
