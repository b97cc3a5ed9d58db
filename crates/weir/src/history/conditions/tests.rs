use super::*;
use clap::Parser;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    conditions: Conditions,
    #[arg(long)]
    last: Option<usize>,
}

fn read(words: &[&str]) -> Result<Option<Filter>, String> {
    let flags = Flags::try_parse_from([&["flows"], words].concat()).map_err(|error| error.to_string())?;
    Ok(flags.conditions.filter.map(Arc::unwrap_or_clone))
}

#[track_caller]
fn same(words: &str, filter: &str) {
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let wanted = (!filter.is_empty()).then(|| Filter::parse(filter).expect(filter));
    assert_eq!(read(&words), Ok(wanted), "{words:?}");
}

#[test]
fn flags_are_filters() {
    same("", "");
    same("--from 10.0.0.0/8", "source_address == 10.0.0.0/8");
    same("--to 2001:db8::1", "destination_address == 2001:db8::1");
    same("--to db.example.org", "destination_name == \"db.example.org\"");
    same("--to *.example.org", "destination_name == *.example.org");
    same("--port 443", "port == 443");
    same("--port 8000-8999", "port == 8000-8999");
    same("--protocol icmp*", "protocol == icmp*");
    same("--process curl", "process == \"curl\"");
    same("--process 4711", "pid == 4711");
    same("--container 5f0c", "container == 5f0c* or container_name == \"5f0c\"");
    same("--container web-*", "container == web-* or container_name == web-*");
    same("--pod web-*", "pod == web-*");
    same(
        "--pod shop/web",
        "source_namespace == shop and source_pod == web or destination_namespace == shop and destination_pod == web",
    );
    same("-n shop", "namespace == shop");
    same("--interface veth*", "interface == veth*");
    same("--dropped", "dropped_packets > 0");
    same("--min-bytes 1MiB", "bytes >= 1MiB or reverse_bytes >= 1MiB");
    same("--filter tcp_rtt>50ms", "tcp_rtt > 50ms");
}

#[test]
fn a_flag_twice_is_either_and_two_flags_are_both() {
    same("--port 80,443", "port == 80 or port == 443");
    same("--port 80 --process curl --port 443", "(port == 80 or port == 443) and process == \"curl\"");
    same("--process curl --last 3 --port 80", "port == 80 and process == \"curl\"");
}

#[test]
fn not_is_about_the_next() {
    same("--not --port 22", "not port == 22");
    same("--not --port 22 --port 80", "not port == 22 and port == 80");
    same("--not --port 22 --not --port 80", "not port == 22 and not port == 80");
    same("--not --port 22,80", "not (port == 22 or port == 80)");
    same("--process curl --not --dropped", "not dropped_packets > 0 and process == \"curl\"");
    same("--not --filter port==22", "not port == 22");
    for words in [&["--not"][..], &["--port", "1", "--not"], &["--not", "--not", "--port", "1"]] {
        assert!(read(words).is_err_and(|said| said.contains("--not stands before")), "{words:?}");
    }
}

#[test]
fn what_makes_no_sense_is_said() {
    for (words, said) in [
        (["--port", "http"], "port takes a number"),
        (["--port", "70000"], "from 0 to 65535"),
        (["--port", "80 or port == 1"], "is no port"),
        (["--protocol", "tpc"], "did you mean 'tcp'"),
        (["--from", "10.1.2.3/8"], "did you mean '10.0.0.0/8'"),
        (["--from", "::1 or port == 1"], "is no source_address"),
        (["--min-bytes", "lots"], "not a size"),
        (["--filter", "prot == 22"], "did you mean 'port'"),
    ] {
        let error = read(&words).expect_err(words[1]);
        assert!(error.contains(said), "{words:?}: {error}");
    }
}

#[test]
fn a_url_is_who_is_asked() {
    let flags =
        |words: &[&str]| Flags::try_parse_from([&["flows"], words].concat()).map(|flags| flags.conditions);
    let url = "clickhouse://ch.example/net?host=a,b";
    let both = flags(&["--from", url, "--from", "10.0.0.0/8", "--port", "80"]).expect("flags");
    assert_eq!(both.source().map(ToString::to_string).as_deref(), Some("clickhouse://ch.example/net"));
    let wanted = Filter::parse("source_address == 10.0.0.0/8 and port == 80").expect("a filter");
    assert_eq!(both.filter().map(|filter| Filter::clone(filter)), Some(wanted));
    assert!(both.here().is_err_and(|said| said.contains("`weir flows` alone")));
    let said = |words: &[&str]| flags(words).map(drop).expect_err("a mistake").to_string();
    assert!(said(&["--from", url, "--from", url]).contains("not two"));
    assert!(said(&["--not", "--from", url]).contains("--not stands before"));
    assert!(said(&["--from", "clickhouse://ch.example/a/b"]).contains("nothing behind it"));
    assert!(said(&["--from", "clickhouse://me:secret@ch.example"]).contains("password_file"));
    assert!(said(&["--from", "clickhouse://ch.example?color=red"]).contains("no option color"));
}

#[test]
fn a_word_is_not_more_than_a_word() {
    let named = |text: &str| read(&["--process", text]);
    let quoted = |text: &str| Ok(Some(Filter::parse(text).expect(text)));
    assert_eq!(named("Web Content"), quoted("process == \"Web Content\""));
    assert_eq!(named("a\" or port == 1"), quoted("process == \"a\\\" or port == 1\""));
    assert!(named("Web *").is_err_and(|said| said.contains("write ?")));
}

proptest! {
    /// However flags follow each other, they mean what their filters mean.
    #[test]
    fn flags_and_their_filter_agree(
        given in prop::collection::vec((select(&POOL[..]), any::<bool>()), 0..6),
        record in weir_filter::generate::records(),
    ) {
        let words: Vec<_> = given
            .iter()
            .flat_map(|((flag, value, _), not)| not.then_some("--not").into_iter().chain([*flag, *value]))
            .collect();
        let filter = read(&words).expect("flags");
        let fits = |text: &str| Filter::parse(text).expect(text).matches(&record);
        let is_wanted = given.iter().all(|((flag, _, text), is_negated)| {
            let mut same = given.iter().filter(|((other, ..), negated)| other == flag && !negated);
            if *is_negated { !fits(text) } else { same.any(|((.., text), _)| fits(text)) }
        });
        prop_assert_eq!(filter.is_none_or(|filter| filter.matches(&record)), is_wanted);
    }
}

const POOL: [(&str, &str, &str); 8] = [
    ("--port", "443", "port == 443"),
    ("--port", "22,80", "port in 22,80"),
    ("--from", "10.0.0.0/8", "source_address in 10.0.0.0/8"),
    ("--to", "fd00::1", "destination_address == fd00::1"),
    ("--protocol", "tcp", "protocol == tcp"),
    ("--interface", "eth*", "interface == eth*"),
    ("--min-bytes", "1000", "bytes >= 1000 or reverse_bytes >= 1000"),
    ("--filter", "vlan == null or port == 53", "vlan == null or port == 53"),
];
