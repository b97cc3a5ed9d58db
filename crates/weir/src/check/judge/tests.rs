//! What is made of findings.

use super::*;
use crate::check::features::verdict;

fn refused(is_permission: bool) -> Refusal {
    Refusal { is_permission, text: "refused".into() }
}

fn named<'a>(features: &'a [Feature], name: &str) -> &'a Feature {
    features.iter().find(|feature| feature.name == name).expect("there is such a feature")
}

#[test]
fn releases_compare_by_number() {
    assert!(is_at_least("6.18.44-cloud", "6.6") && is_at_least("5.15.0", "5.15"));
    assert!(!is_at_least("5.9.1", "5.10") && !is_at_least("", "5.4"));
    assert_eq!(short("6.18.44-cloud"), "6.18");
}

#[test]
fn a_kernel_that_has_everything() {
    let features = features(&Findings::perfect());
    assert_eq!(verdict(&features).text(), "weir run works here");
    assert_eq!(named(&features, "clsact filters").status, Status::NotNeeded);
    assert_eq!(named(&features, "map-in-map update").status, Status::NotNeeded);
    assert!(features.iter().all(|f| f.remedy.is_none() && f.status != Status::No), "{features:?}");
}

#[test]
fn fall_backs_do() {
    let features = features(&Findings {
        release: "5.15.0-100-generic".into(),
        tcx: Err(refused(false)),
        clsact: Some(true),
        membarrier: Err(refused(false)),
        compiled: Ok(false),
        ..Findings::perfect()
    });
    assert!(verdict(&features).is_ok());
    assert_eq!(named(&features, "TCX links").instead, Some("clsact filters"));
    assert_eq!(named(&features, "clsact filters").status, Status::Yes);
    assert_eq!(named(&features, "map-in-map update").status, Status::Yes);
    assert_eq!(named(&features, "BPF JIT").remedy.as_deref(), Some("sysctl net.core.bpf_jit_enable=1"));
}

#[test]
fn who_talks_has_fall_backs_and_is_not_required() {
    let found = Findings {
        release: "6.1.0".into(),
        socket_tracepoints: Err(refused(false)),
        socket_functions: Some(Err(refused(false))),
        processes: Err(refused(false)),
        dns: Err(refused(false)),
        drops: Err(refused(false)),
        tcp: Err(refused(false)),
        ..Findings::perfect()
    };
    let features = features(&found);
    assert!(verdict(&features).is_ok());
    let tcp = named(&features, "TCP (iter/tcp)");
    assert_eq!((tcp.status, tcp.instead), (Status::No, Some("how TCP fares stays unknown")));
    let tracepoints = named(&features, "socket tracepoints");
    assert_eq!(tracepoints.status, Status::No);
    assert_eq!(tracepoints.remedy.as_deref(), Some("boot Linux 6.3 or newer"));
    assert_eq!(named(&features, "socket fentry").instead, Some("processes stay unknown"));
    assert_eq!(named(&features, "process tracepoints").instead, Some("/proc, while they live"));
    let dns = named(&features, "DNS (TC)");
    assert_eq!((dns.status, dns.instead), (Status::No, Some("no DNS, no names from it")));
}

#[test]
fn without_a_place_for_names_of_maps() {
    let remedy = |bpffs| {
        let features = features(&Findings { bpffs, ..Findings::perfect() });
        assert!(verdict(&features).is_ok());
        let feature = named(&features, "ledger in bpffs");
        (feature.status, feature.remedy.clone())
    };
    assert_eq!(remedy(Ok(())), (Status::Yes, None));
    let (status, mount) = remedy(Err(refused(false)));
    assert!(status == Status::No && mount.is_some_and(|text| text.ends_with("mount -t bpf bpf /sys/fs/bpf")));
    assert_eq!(remedy(Err(refused(true))).1, Some("run as root: bpffs is not open to this user".into()));
}

#[test]
fn without_either_hook() {
    let found = Findings { tcx: Err(refused(false)), clsact: Some(false), ..Findings::perfect() };
    let verdict = verdict(&features(&found));
    assert!(verdict.reason().is_some_and(|reason| reason.contains("clsact")), "{verdict:?}");
}

#[test]
fn without_capabilities_nothing_is_claimed() {
    let features = features(&Findings {
        missing: vec!["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"],
        ring_buffer: Err(refused(true)),
        probe: Err(refused(true)),
        programs: PROGRAMS.map(|_| Err(refused(true))),
        tcx: Err(refused(true)),
        clsact: Some(true),
        statistics: Err(refused(true)),
        ..Findings::perfect()
    });
    assert_eq!(
        verdict(&features).text(),
        "weir run cannot work here: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON are missing. \
         Run as root, or: setcap cap_bpf,cap_net_admin,cap_perfmon+ep /usr/bin/weir"
    );
    for name in ["ring buffer", "weir_egress", "TCX links", "statistics (weir cost)"] {
        let feature = named(&features, name);
        assert_eq!(feature.status, Status::NotTried, "{name}");
        assert!(feature.reason.as_ref().is_some_and(|reason| reason.starts_with("CAP_")), "{name}");
    }
}

#[test]
fn an_old_kernel_is_named_with_what_it_lacks() {
    let found = Findings {
        release: "5.4.0".into(),
        ring_buffer: Err(refused(false)),
        probe: Err(refused(false)),
        programs: PROGRAMS.map(|_| Err(refused(false))),
        ..Findings::perfect()
    };
    let features = features(&found);
    let text = verdict(&features).text();
    assert!(text.contains("ring buffer") && text.contains("Boot Linux 5.8"), "{text}");
    let program = named(&features, "weir_ingress");
    assert_eq!(program.reason.as_deref(), Some("no ring buffer (Linux 5.8)"));
}

#[test]
fn a_verifier_that_gives_up() {
    let text = "BPF program is too large. Processed 1000001 insn".to_string();
    let refusal = || Err(Refusal { is_permission: false, text: text.clone() });
    let programs = [refusal(), Ok(()), Ok(())];
    let found = Findings { probe: refusal(), programs, ..Findings::perfect() };
    let text = verdict(&features(&found)).text();
    assert!(text.contains("weir_ingress: too complex for this verifier. Boot a newer"), "{text}");
}

/// Root in a container, with every capability and a seccomp profile; and a verifier that
/// says EACCES where everything else works.
#[test]
fn a_refusal_in_spite_of_capabilities() {
    let programs = Findings {
        probe: Err(refused(true)),
        programs: PROGRAMS.map(|_| Err(refused(true))),
        ..Findings::perfect()
    };
    let text = verdict(&features(&programs)).text();
    assert!(text.contains("weir_ingress: refused. `weir check -v`"), "{text}");
    let everything = Findings { mmapable_array: Err(refused(true)), ..programs };
    let text = verdict(&features(&everything)).text();
    assert!(text.contains("mmap-able array: bpf(2) is refused") && text.contains("seccomp"), "{text}");
}
