//! Rules as text, and what is odd in a list of them.

use std::num::NonZeroU32;
use weir_filter::{Action, Rule, warnings};

fn rule(text: &str) -> Rule {
    text.parse().unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

fn mistake(text: &str) -> String {
    text.parse::<Rule>().expect_err(text).to_string()
}

fn warned(rules: &[&str]) -> Vec<String> {
    warnings(&rules.iter().map(|text| rule(text)).collect::<Vec<_>>())
}

#[test]
fn rules_print_as_they_are_written() {
    for (text, canonical) in [
        ("deny port == 22", "deny port == 22"),
        ("  Allow  fragmented", "allow fragmented"),
        ("allow 1/100 protocol == udp or vlan == 3", "allow 1/100 protocol == udp or vlan == 3"),
        ("allow 1/100", "allow 1/100"),
        ("allow 1/1 fragmented", "allow fragmented"),
        ("ALLOW(fragmented)", "allow fragmented"),
        ("deny", "deny"),
        (" deny ", "deny"),
        ("allow", "allow"),
    ] {
        assert_eq!(rule(text).to_string(), canonical, "{text}");
        assert_eq!(rule(canonical), rule(text), "{text}");
    }
    let one_in = NonZeroU32::new(100).expect("not zero");
    assert_eq!(rule("allow 1/100"), Rule { action: Action::Allow { one_in }, filter: None });
}

#[test]
fn mistakes_are_counted_from_the_start_of_the_rule() {
    for (text, told) in [
        ("", "column 1: a rule begins with 'deny' or 'allow', not ''"),
        (
            "dney port == 22",
            "column 1: a rule begins with 'deny' or 'allow', not 'dney': did you mean 'deny'?",
        ),
        ("  port == 22", "column 3: a rule begins with 'deny' or 'allow', not 'port'"),
        ("deny prt == 22", "column 6: there is no field 'prt': did you mean 'port'?"),
        ("allow 1/0 port == 22", "column 7: a sampling rate is 1/N, N from 1 to 4294967295, not '1/0'"),
        ("allow 2/3", "column 7: a sampling rate is 1/N, N from 1 to 4294967295, not '2/3'"),
        (
            "allow 1/10 port",
            "column 16: an operator for port (== != < <= > >= in) is expected here, not the end",
        ),
        ("deny 1/10 port == 22", "column 6: there is no field '1/10': docs/fields.md lists them"),
    ] {
        assert_eq!(mistake(text), told, "{text}");
    }
}

#[test]
fn what_can_never_apply_is_warned_about() {
    assert_eq!(
        warned(&["deny source_port == 80 and protocol == icmp", "allow port == 22"]),
        ["rule 1 'deny source_port == 80 and protocol == icmp' can never match: no packet fits it"]
    );
    assert_eq!(
        warned(&["allow protocol in icmp,icmpv6", "deny vlan == 1", "deny icmp_type == 8"]),
        [
            "rule 3 'deny icmp_type == 8' is never reached: rule 1 'allow protocol in icmp,icmpv6' takes all that it matches"
        ]
    );
    assert_eq!(
        warned(&[
            "deny source_port == 22",
            "deny destination_port == 22",
            "allow port == 22 and bytes > 10k"
        ]),
        [
            "rule 3 'allow port == 22 and bytes > 10k' is never reached: rule 1 'deny source_port == 22' and rule 2 'deny destination_port == 22' take all that it matches"
        ]
    );
    assert_eq!(warned(&["deny", "allow port == 1"]).len(), 1);
    assert_eq!(
        warned(&["deny interface == veth*", "allow interface == veth0 and port == 1"]),
        [
            "rule 2 'allow interface == veth0 and port == 1' is never reached: rule 1 'deny interface == veth*' takes all that it matches"
        ]
    );
}

#[test]
fn what_cannot_be_told_is_not_warned_about() {
    assert_eq!(warned(&["deny bytes > 10k", "allow port == 22", "deny"]), [""; 0]);
    assert_eq!(warned(&["deny port == 22", "allow port in 22,23"]), [""; 0]);
    assert_eq!(warned(&["deny interface == veth0", "allow interface == veth*"]), [""; 0]);
}

#[test]
fn overlapping_sampling_is_warned_about() {
    assert_eq!(
        warned(&["allow 1/10 port == 80", "allow 1/100 protocol == tcp", "allow 1/10 protocol == udp"]),
        [
            "rule 1 'allow 1/10 port == 80' and rule 2 'allow 1/100 protocol == tcp' overlap with different sampling: what matches both is sampled 1/10, by the first"
        ]
    );
    assert_eq!(warned(&["allow 1/10 protocol == tcp", "allow 1/100 protocol == udp", "deny"]), [""; 0]);
    assert_eq!(warned(&["allow 1/10 direction == ingress", "allow 1/100 direction == egress"]), [""; 0]);
}

#[test]
fn long_rules_are_cut_short_in_warnings() {
    let ports: Vec<_> = (0..200).map(|port| (port * 3).to_string()).collect();
    let long = format!("allow source_port in {}", ports.join(","));
    let warnings = warned(&["deny source_port < 1000", &long]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains('…') && warnings[0].chars().count() < 250, "{warnings:?}");
}
