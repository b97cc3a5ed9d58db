use super::*;
use crate::link::Place;
use crate::login::Login;
use crate::trust::{Identity, Security};
use proptest::prelude::*;

fn target(text: &str) -> Target {
    text.parse().unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

fn mistake(text: &str) -> String {
    text.parse::<Target>().map(drop).expect_err(text)
}

#[test]
fn places() {
    let place = |text: &str| match target(text).kind {
        Kind::Collector(transport, _) | Kind::Syslog(transport) | Kind::Unix(transport) => transport,
        other => panic!("{other:?}"),
    };
    let at = |host: &str, port| Place { host: host.into(), port };
    assert_eq!(place("ipfix+udp://collector:9995"), Transport::Udp(at("collector", 9995)));
    assert_eq!(place("ipfix+tcp://[fd00::1]"), Transport::Tcp(at("fd00::1", 4739)));
    assert_eq!(place("netflow9+udp://collector"), Transport::Udp(at("collector", 2055)));
    assert_eq!(place("syslog+udp://127.0.0.1/"), Transport::Udp(at("127.0.0.1", 514)));
    assert_eq!(place("unix:/run/x.sock"), Transport::Unix("/run/x.sock".into()));
    assert_eq!(place("unix:///run/x.sock"), Transport::Unix("/run/x.sock".into()));
    assert_eq!(at("fd00::1", 1).to_string(), "[fd00::1]:1");
}

#[test]
fn within_tls() {
    let Kind::Collector(Transport::Tls(place, security), Language::Ipfix(7)) =
        target("ipfix+tls://c?ca_file=/ca&cert_file=/c&key_file=/k&domain=7").kind
    else {
        panic!()
    };
    assert_eq!(place.to_string(), "c:4740");
    let identity = Identity { certificate: "/c".into(), key: "/k".into() };
    assert_eq!(security, Security { authorities: Some("/ca".into()), identity: Some(identity) });
    let Kind::Syslog(Transport::Tls(place, security)) = target("syslog+tls://[fd00::1]").kind else {
        panic!()
    };
    assert_eq!((place.to_string().as_str(), security), ("[fd00::1]:6514", Security::default()));
}

#[test]
fn options_of_all() {
    let asked = target(
        "ipfix+udp://c?name=noc&domain=7&filter=protocol == 'tcp' and port == 443&fields=flow_id,bytes",
    );
    assert!(matches!(asked.kind, Kind::Collector(_, Language::Ipfix(7))));
    assert_eq!((asked.name.as_str(), asked.directory().as_str()), ("noc", "to-noc"));
    assert_eq!(
        asked.filter.map(|filter| filter.to_string()).as_deref(),
        Some("protocol == tcp and port == 443")
    );
    assert_eq!(asked.fields.iter().map(|field| field.name).collect::<Vec<_>>(), ["flow_id", "bytes"]);
    let plain = target("ipfix+tcp://10.0.0.1:4739");
    assert_eq!(
        (plain.name.as_str(), plain.directory().as_str()),
        ("ipfix+tcp://10.0.0.1:4739", "to-ipfix+tcp___10.0.0.1_4739")
    );
}

#[test]
fn collectors() {
    let language = |text: &str| match target(text).kind {
        Kind::Collector(_, language) => language,
        other => panic!("{other:?}"),
    };
    assert_eq!(language("ipfix+tcp://c"), Language::Ipfix(0));
    assert_eq!(language("netflow9+udp://c?domain=70000&fields=bytes,start"), Language::NetFlow9(70_000));
    assert_eq!(language("netflow5+udp://c?domain=258"), Language::NetFlow5(0x102));
}

#[test]
fn files_and_servers() {
    let Kind::File(path, rotation) = target("file:/var/log/f.json?rotate=1MiB&keep=2").kind else { panic!() };
    assert_eq!((path, rotation), ("/var/log/f.json".into(), Rotation { bytes: 1 << 20, keep: 2 }));
    let Kind::Http(address) = target("https://in.example/x?source=weir&token_file=/t&ca_file=/ca").kind
    else {
        panic!()
    };
    assert_eq!(address.url, "https://in.example/x?source=weir");
    let security = Security { authorities: Some("/ca".into()), identity: None };
    assert_eq!((address.login, address.security), (Some(Login::Token("/t".into())), security));
    let Kind::Http(address) = target("http://[::1]:8123/?user=u&password_file=/p").kind else { panic!() };
    assert_eq!(address.login, Some(Login::Basic { user: "u".into(), password: "/p".into() }));
    assert_eq!(address.url, "http://[::1]:8123/");
    let Kind::Http(address) = target("https://in.example/?user=u").kind else { panic!() };
    assert_eq!((address.login, address.url.as_str()), (None, "https://in.example/?user=u"));
}

#[test]
fn collectors_of_opentelemetry() {
    let address = |text: &str| match target(text).kind {
        Kind::Otlp(address, _) => address,
        other => panic!("{other:?}"),
    };
    assert_eq!(address("otlp+http://collector").url, "http://collector:4318/v1/logs");
    assert_eq!(address("otlp+http://[fd00::1]:80/").url, "http://[fd00::1]:80/v1/logs");
    let asked = address("otlp+https://o.example:443/in/logs?tenant=7&token_file=/t&ca_file=/ca");
    assert_eq!(asked.url, "https://o.example:443/in/logs?tenant=7");
    assert_eq!(asked.login, Some(Login::Token("/t".into())));
    assert_eq!(asked.security.authorities, Some("/ca".into()));
    assert_eq!(target("otlp+http://collector").name, "otlp+http://collector");
}

#[test]
fn mistakes() {
    for (text, part) in [
        ("", "weir exports to"),
        ("kafka://b/t", "weir exports to"),
        ("ipfix+udp://", "no URL"),
        ("ipfix+udp://:4739", "no host"),
        ("ipfix+udp://h/path", "nothing behind"),
        ("ipfix+udp://h?colour=red", "no option colour"),
        ("ipfix+udp://h?domain=x", "no whole number"),
        ("ipfix+udp://h?fields=byts", "no field byts"),
        ("ipfix+udp://h?fields=community_id", "no element"),
        ("netflow9+udp://h?fields=bytes,reverse_bytes", "reverse_bytes has no element in NetFlow 9"),
        ("netflow5+udp://h?fields=bytes", "fixed fields"),
        ("netflow5+udp://h?domain=65536", "65535"),
        ("netflow9+tcp://h", "weir exports to"),
        ("ipfix+udp://h?filter=prt == 3", "filter: "),
        ("https://u:p@h/", "a password does not belong"),
        ("https://u:p@h:x/", "a password does not belong"),
        ("syslog+tls://u:p@h", "a password does not belong"),
        ("http://h/?token_file=/t", "use https"),
        ("http://h/?user=u&password_file=/p", "use https"),
        ("https://h/?password_file=/p", "user=NAME"),
        ("https://h/?user=a:b&password_file=/p", "without a colon"),
        ("https://h/?user=u&password_file=/p&token_file=/t", "one of them"),
        ("http://127.0.0.1/?ca_file=/ca", "of TLS"),
        ("syslog+tls://h?cert_file=/c", "no use without"),
        ("ipfix+tcp://h?ca_file=/ca", "no option ca_file"),
        ("otlp+http://", "no URL"),
        ("otlp+http://h:4318?token_file=/t", "use https"),
        ("otlp+http://u:p@h", "a password does not belong"),
        ("otlp+grpc://h", "weir exports to"),
        ("file:", "no name of a file"),
        ("file:/var/log/?keep=1", "no name of a file"),
        ("file:/x?rotate=0", "a size"),
        ("file:/x?keep=-1", "no whole number"),
    ] {
        let said = mistake(text);
        assert!(said.contains(part), "{text}: {said}");
        assert!(!said.contains("u:p"), "{said}");
    }
}

/// What is passed on to a server may be a secret of its own.
#[test]
fn a_servers_own_options_are_not_shown() {
    let target = target("https://in.example/x?key=s3cret&token_file=/t");
    assert!(matches!(&target.kind, Kind::Http(address) if address.url.ends_with("?key=s3cret")));
    let shown = format!("{target:?}");
    assert!(shown.contains("in.example/x") && !shown.contains("s3cret"), "{shown}");
}

proptest! {
    #[test]
    fn anything_is_a_target_or_a_mistake(text in "(ipfix\\+udp://|file:|https://|unix:)?\\PC{0,40}(\\?\\PC{0,40})?") {
        if let Ok(target) = text.parse::<Target>() {
            let directory = target.directory();
            prop_assert!(directory.len() < 256 && !directory.contains('/'), "{}", directory);
        }
    }
}
