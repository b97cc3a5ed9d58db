use super::*;
use crate::kafka::{self, Compression, Format, Key, Mechanism};
use crate::link::Place;
use crate::login::Login;
use crate::objects::{Bucket, Key as AccessKey, Provider};
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
    assert_eq!(place("ipfix+sctp://c"), Transport::Sctp(at("c", 4739)));
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
        Kind::Otlp(Endpoint::Http(address), ..) => address,
        other => panic!("{other:?}"),
    };
    assert_eq!(address("otlp+http://collector").url, "http://collector:4318/v1/logs");
    assert_eq!(address("otlp+http://[fd00::1]:80/").url, "http://[fd00::1]:80/v1/logs");
    assert_eq!(address("otlp+http://collector?signal=traces").url, "http://collector:4318/v1/traces");
    let asked = address("otlp+https://o.example:443/in/logs?tenant=7&token_file=/t&ca_file=/ca");
    assert_eq!(asked.url, "https://o.example:443/in/logs?tenant=7");
    assert_eq!(asked.login, Some(Login::Token("/t".into())));
    assert_eq!(asked.security.authorities, Some("/ca".into()));
    assert_eq!(target("otlp+http://collector").name, "otlp+http://collector");
}

#[test]
fn servers_of_grpc() {
    let address = |text: &str| match target(text).kind {
        Kind::Netobserv(address) | Kind::Otlp(Endpoint::Grpc(address), ..) => address,
        other => panic!("{other:?}"),
    };
    let plain = address("grpc://[fd00::1]");
    assert_eq!((plain.place.to_string().as_str(), plain.security), ("[fd00::1]:2055", None));
    let plain = address("otlp+grpc://collector");
    assert_eq!((plain.place.to_string().as_str(), plain.security), ("collector:4317", None));
    let asked = address("otlp+grpcs://o.example:443?token_file=/t&ca_file=/ca");
    assert_eq!(asked.login, Some(Login::Token("/t".into())));
    assert_eq!(asked.security, Some(Security { authorities: Some("/ca".into()), identity: None }));
    let asked = address("grpcs://f.example?user=u&password_file=/p");
    assert_eq!(asked.login, Some(Login::Basic { user: "u".into(), password: "/p".into() }));
    assert_eq!((asked.place.port, asked.security), (2055, Some(Security::default())));
}

#[test]
fn topics() {
    let Kind::Kafka(cluster, manner) = target("kafka://a,[fd00::1]:1,b:2/net.flows").kind else { panic!() };
    let at = |host: &str, port| Place { host: host.into(), port };
    assert_eq!(cluster.brokers, [at("a", 9092), at("fd00::1", 1), at("b", 2)]);
    assert_eq!((cluster.topic.as_str(), cluster.security, cluster.login), ("net.flows", None, None));
    let plain = Manner { format: Format::Json, key: Key::Flow, compression: Compression::Lz4 };
    assert_eq!(manner, plain);
    let text = "kafka+tls://a/t?format=arrow&compression=zstd&user=u&password_file=/p&sasl=plain&ca_file=/ca";
    let Kind::Kafka(cluster, manner) = target(text).kind else { panic!() };
    assert_eq!(manner, Manner { format: Format::Arrow, key: Key::Host, compression: Compression::Zstd });
    assert_eq!(cluster.brokers, [at("a", 9093)]);
    let security = Security { authorities: Some("/ca".into()), identity: None };
    assert_eq!(cluster.security, Some(security));
    let login = kafka::Login { user: "u".into(), password: "/p".into(), mechanism: Mechanism::Plain };
    assert_eq!(cluster.login, Some(login));
    let Kind::Kafka(cluster, _) = target("kafka://[::1]/t?user=u&password_file=/p").kind else { panic!() };
    assert_eq!(cluster.login.map(|login| login.mechanism), Some(Mechanism::ScramSha512));
}

#[test]
fn stores_of_objects() {
    let objects = |text: &str| match target(text).kind {
        Kind::Objects(kept, gather) => (kept, gather),
        other => panic!("{other:?}"),
    };
    let usual = Gather { bytes: 8 << 20, every: Duration::from_secs(60) };
    let bucket = |provider| Bucket { provider, name: "flows".into(), endpoint: None, authorities: None };
    let kept = |provider, prefix: &str| Kept::Bucket(bucket(provider), prefix.into());
    let key = AccessKey { id: "me".into(), secret: "/s".into() };
    assert_eq!(objects("s3://flows"), (kept(Provider::Amazon(None, None), ""), usual));
    let asked = "s3://flows/a/b/?region=eu-1&user=me&password_file=/s&every=5m&size=1MiB";
    let gather = Gather { bytes: 1 << 20, every: Duration::from_secs(300) };
    assert_eq!(
        objects(asked),
        (kept(Provider::Amazon(Some("eu-1".into()), Some(key.clone())), "a/b"), gather)
    );
    assert_eq!(objects("gs://flows/a?credentials_file=/g").0, kept(Provider::Google(Some("/g".into())), "a"));
    assert_eq!(objects("az://flows/a?user=me&password_file=/s").0, kept(Provider::Azure(Some(key)), "a"));
    assert_eq!(objects("dir:/var/flows/?every=1s").0, Kept::Directory("/var/flows".into()));
    let Kept::Bucket(bucket, _) = objects("s3://flows?endpoint=https://minio:9000/&ca_file=/ca").0 else {
        panic!()
    };
    assert_eq!(bucket.endpoint.as_deref(), Some("https://minio:9000"));
    assert_eq!(bucket.authorities, Some("/ca".into()));
    assert_eq!(target("s3://flows/a?region=eu-1").name, "s3://flows/a");
    // The same for who reads, without what is only for who writes.
    assert_eq!("s3://flows/a/".parse(), Ok(kept(Provider::Amazon(None, None), "a")));
    assert_eq!("/var/flows".parse(), Ok(Kept::Directory("/var/flows".into())));
    assert!(
        "s3://flows?every=1m".parse::<Kept>().expect_err("who reads waits for nothing").contains("every")
    );
    assert!("https://flows".parse::<Kept>().expect_err("no store").contains("s3://BUCKET/PREFIX"));
}

#[test]
fn mistakes() {
    for (text, part) in [
        ("", "weir exports to"),
        ("kafka://b", "no topic"),
        ("kafka://b,/t", "no URL"),
        ("kafka://b/t/u", "a topic has letters"),
        ("kafka://b/..", "no topic .."),
        ("kafka://b,u:p@c/t", "a password does not belong"),
        ("kafka://b/t?format=xml", "format: one of json, "),
        ("kafka://b/t?key=port", "key: one of flow, host, none"),
        ("kafka://b/t?format=arrow&key=flow", "many flows"),
        ("kafka://b/t?fields=flow_id,start,bytes", "without end"),
        ("kafka://b/t?format=protobuf&fields=flow_id,start,end", "fixed fields"),
        ("kafka://b/t?ca_file=/ca", "use kafka+tls"),
        ("kafka://127.0.0.1,b/t?user=u&password_file=/p", "use kafka+tls"),
        ("kafka+tls://b/t?user=u", "no use without"),
        ("kafka+tls://b/t?sasl=plain", "nor sasl without"),
        ("kafka://b/t?acks=0", "no option acks"),
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
        ("https://h/?rate=0", "like 1000/s"),
        ("https://h/?user=u&password=p", "a password does not belong"),
        ("otlp+https://h/?token=p", "a password does not belong"),
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
        ("otlp+http://h?signal=spans", "signal: one of logs, traces"),
        ("otlp+grpc://h?signal=metrics", "--otlp-metrics"),
        ("otlp+grpc://h/v1/logs", "nothing behind"),
        ("otlp+grpc://h?tenant=7", "no option tenant"),
        ("grpc://h?token_file=/t", "use grpcs"),
        ("grpc://127.0.0.1?ca_file=/ca", "of TLS"),
        ("grpcs://u:p@h", "a password does not belong"),
        ("grpc://h?fields=bytes", "fixed fields"),
        ("s3://", "no URL"),
        ("s3://flows:9000/a", "endpoint=URL"),
        ("s3://flows?endpoint=http://minio:9000", "not sent in the clear"),
        ("s3://flows?endpoint=minio", "a URL"),
        ("s3://flows?endpoint=https://u:p@minio", "a URL"),
        ("s3://flows?endpoint=http://[::1]:9000&ca_file=/ca", "of TLS"),
        ("s3://u:p@flows", "a password does not belong"),
        ("s3://flows?user=me", "both or neither"),
        ("s3://flows?token_file=/t", "no option token_file"),
        ("gs://flows?region=x", "no option region"),
        ("az://flows?password_file=/s", "both or neither"),
        ("s3://flows?size=65MiB", "64MiB at most"),
        ("s3://flows?every=0.5s", "from 1s to 24h"),
        ("s3://flows?every=2d", "from 1s to 24h"),
        ("dir:", "no name of a file"),
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
