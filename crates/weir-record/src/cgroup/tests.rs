use super::*;
use proptest::prelude::*;

const A: &str = "3f2a9c1b04de7a6b5c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
const B: &str = "05c48c82caff3be3d7f1e896981dd410e81487538936914f32b624d168de9db0";
const UID: &str = "87a18a64-b74a-454a-b10b-a4a36059d0a3";
const UID_: &str = "87a18a64_b74a_454a_b10b_a4a36059d0a3";

/// Path, unit, container as `runtime id`, pod. `A`, `B`, `UID` and `UID_` stand for the above.
type Case = (&'static str, &'static str, &'static str, &'static str);

fn filled(text: &str) -> String {
    text.replace("<A>", A).replace("<B>", B).replace("<UID_>", UID_).replace("<UID>", UID)
}

fn check(cases: &[Case]) {
    for (path, unit, container, pod) in cases {
        let found = owner(&filled(path));
        let said = found.container.map(|it| format!("{} {}", it.runtime.as_str(), it.id)).unwrap_or_default();
        assert_eq!(found.unit.unwrap_or_default(), filled(unit), "the unit of {path}");
        assert_eq!(said, filled(container), "the container of {path}");
        assert_eq!(found.pod_uid.unwrap_or_default(), filled(pod), "the pod of {path}");
    }
}

#[test]
fn units_of_the_host_and_of_users() {
    check(&[
        ("/", "", "", ""),
        ("", "", "", ""),
        ("/init.scope", "init.scope", "", ""),
        ("/system.slice/nginx.service", "nginx.service", "", ""),
        ("system.slice/nginx.service/worker", "nginx.service", "", ""),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", "", ""),
        (r"/system.slice/my\x2dapp.service", "my-app.service", "", ""),
        (r"/system.slice/caf\xc3\xa9.service", "café.service", "", ""),
        ("/system.slice/_cpu.service", "cpu.service", "", ""),
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "", ""),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", "init.scope", "", ""),
        (
            r"/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox\x2desr-42.scope",
            "app-firefox-esr-42.scope",
            "",
            "",
        ),
        (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/vcpu0", "machine-qemu-1-vm.scope", "", ""),
        ("/user.slice/user-1000.slice", "", "", ""),
        ("/system.slice/docker.service", "docker.service", "", ""),
        ("/system.slice/docker-cleanup.scope", "docker-cleanup.scope", "", ""),
        ("/process_api/ec6c41410d79459b755419bfce5266d2", "", "", ""),
    ]);
}

#[test]
fn containers_of_each_runtime_with_both_drivers() {
    check(&[
        ("/docker/<A>", "", "docker <A>", ""),
        ("/system.slice/docker-<A>.scope", "", "docker <A>", ""),
        ("/system.slice/docker-<A>.scope/init", "", "docker <A>", ""),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-<A>.scope", "", "docker <A>", ""),
        ("/system.slice/docker-3f2a9c1b04de.scope", "", "docker 3f2a9c1b04de", ""),
        ("/actions_job/<A>", "", "docker <A>", ""),
        ("/libpod_parent/libpod-<A>", "", "podman <A>", ""),
        ("/libpod_parent/<A>", "", "podman <A>", ""),
        ("/machine.slice/libpod-<A>.scope", "", "podman <A>", ""),
        ("/machine.slice/libpod-<A>.scope/container", "", "podman <A>", ""),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-<A>.scope/container",
            "",
            "podman <A>",
            "",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_<B>.slice/libpod-<A>.scope",
            "",
            "podman <A>",
            "",
        ),
        ("/system.slice/web.service/libpod-payload-<A>", "web.service", "podman <A>", ""),
        ("/system.slice/web.service/runtime", "web.service", "", ""),
        ("/system.slice/nerdctl-<A>.scope", "", "containerd <A>", ""),
        ("/default/<A>", "", "unknown <A>", ""),
        ("/user.slice/crun-my-box.scope/container", "", "unknown my-box", ""),
        ("/system.slice/runc-test.scope", "", "unknown test", ""),
        ("/system.slice/runsc-<A>.scope", "", "unknown <A>", ""),
        ("/lxc/web", "", "lxc web", ""),
        ("/lxc/101/ns/system.slice/nginx.service", "nginx.service", "lxc 101", ""),
        ("/lxc.payload/web", "", "lxc web", ""),
        ("/lxc.payload.web.example.org", "", "lxc web.example.org", ""),
        ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", "init.scope", "unknown web", ""),
        (r"/machine.slice/machine-my\x2dbox.scope/payload", "", "unknown my-box", ""),
    ]);
}

#[test]
fn monitors_are_outside_their_containers() {
    check(&[
        ("/machine.slice/libpod-conmon-<A>.scope", "libpod-conmon-<A>.scope", "", ""),
        ("/libpod_parent/conmon", "", "", ""),
        ("/lxc.monitor.web", "", "", ""),
        ("/lxc.monitor/web", "", "", ""),
        ("/kubepods/burstable/pod<UID>/crio-conmon-<A>", "", "", "<UID>"),
        (
            "/kubepods.slice/kubepods-pod<UID_>.slice/crio-conmon-<A>.scope",
            "crio-conmon-<A>.scope",
            "",
            "<UID>",
        ),
        ("/machine.slice/systemd-nspawn@web.service/supervisor", "systemd-nspawn@web.service", "", ""),
    ]);
}

#[test]
fn pods_of_every_class() {
    check(&[
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<UID_>.slice/cri-containerd-<A>.scope",
            "",
            "containerd <A>",
            "<UID>",
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<UID_>.slice/docker-<A>.scope",
            "",
            "docker <A>",
            "<UID>",
        ),
        ("/kubepods.slice/kubepods-pod<UID_>.slice/crio-<A>.scope/container", "", "cri-o <A>", "<UID>"),
        ("/kubepods/besteffort/pod<UID>/<A>", "", "unknown <A>", "<UID>"),
        ("/kubepods/burstable/pod<UID>/crio-<A>", "", "cri-o <A>", "<UID>"),
        ("/kubepods/pod<UID>/<A>", "", "unknown <A>", "<UID>"),
        (
            "/kubepods/burstable/pod4e5f67890a1b2c3d4e5f67890a1b2c3d/<A>",
            "",
            "unknown <A>",
            "4e5f67890a1b2c3d4e5f67890a1b2c3d",
        ),
        (
            "/system.slice/containerd.service/kubepods-pod<UID_>.slice:cri-containerd:<A>",
            "",
            "containerd <A>",
            "<UID>",
        ),
        ("/kubepods-besteffort-pod<UID_>.slice:cri-containerd:<A>", "", "containerd <A>", "<UID>"),
        ("/kubepods.slice/kubepods-burstable.slice", "", "", ""),
        ("/podruntime/kubelet", "", "", ""),
    ]);
}

#[test]
fn the_innermost_container_wins() {
    check(&[
        ("/docker/<A>/docker/<B>", "", "docker <B>", ""),
        ("/docker/<A>/kubelet/kubepods/burstable/pod<UID>/<B>", "", "unknown <B>", "<UID>"),
        ("/system.slice/docker-<A>.scope/system.slice/kubelet.service", "kubelet.service", "docker <A>", ""),
        ("/system.slice/docker-<A>.scope/init.scope", "init.scope", "docker <A>", ""),
        (
            "/system.slice/docker-<A>.scope/kubelet.slice/kubelet-kubepods.slice/\
             kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod<UID_>.slice/cri-containerd-<B>.scope",
            "",
            "containerd <B>",
            "<UID>",
        ),
        ("/kubepods/besteffort/pod<UID>/<A>/docker/<B>", "", "docker <B>", "<UID>"),
        ("/lxc.payload.outer/lxc.payload.inner", "", "lxc inner", ""),
        ("/lxc.payload.outer/lxc.monitor.inner", "", "lxc outer", ""),
        ("/lxc.payload.ci/system.slice/docker-<A>.scope", "", "docker <A>", ""),
        ("/lxc.payload.ci/system.slice/ssh.service", "ssh.service", "lxc ci", ""),
    ]);
}

#[test]
fn hostile_paths_name_nobody() {
    let long = "x".repeat(4096);
    for path in [
        format!("/lxc.payload.{long}"),
        format!("/lxc/{long}"),
        format!("/{long}.service"),
        format!("/crun-{long}.scope"),
        format!("/kubepods/pod{long}"),
        format!("/docker/{}", A.repeat(64)),
        "/lxc/../..".into(),
        "/lxc.payload.".into(),
        "/lxc.payload.a\u{1b}[2J".into(),
        "/a\nb.service".into(),
        "/.service/.scope".into(),
        "/../../..".into(),
        "/kubepods/pod/kubepods-pod.slice/kubepods-pod<b>.slice".into(),
        "::::/a:b:c/:".into(),
        format!("/docker-{}.scope.mount", A),
    ] {
        assert_eq!(owner(&path), Owner::default(), "{path:?}");
    }
}

#[test]
fn escapes_that_would_not_print_stay_escaped() {
    for name in [r"a\x1bb.service", r"a\xffb.service", r"a\x0.service", r"a\xzz.service", r"a\x.scope"] {
        assert_eq!(owner(name).unit.as_deref(), Some(name));
    }
}

#[test]
fn version_2_has_one_line() {
    assert_eq!(path_of("0::/system.slice/a.service\n"), Some("/system.slice/a.service"));
    assert_eq!(path_of("0::/\n"), Some("/"));
    assert_eq!(path_of("0::/system.slice/a.service (deleted)\n"), Some("/system.slice/a.service"));
    assert_eq!(
        path_of("0::/kubepods-x.slice:cri-containerd:a\n"),
        Some("/kubepods-x.slice:cri-containerd:a")
    );
}

#[test]
fn of_many_hierarchies_the_one_that_names_the_owner_is_taken() {
    let hybrid = "12:pids:/user.slice/user-1000.slice/session-3.scope\n\
                  1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n\
                  0::/user.slice/user-1000.slice/session-3.scope\n";
    assert_eq!(path_of(hybrid), Some("/user.slice/user-1000.slice/session-3.scope"));
    let older_runc = format!("14:name=systemd:/docker/{A}\n13:rdma:/\n0::/system.slice/containerd.service\n");
    assert_eq!(path_of(&older_runc), Some(&*format!("/docker/{A}")));
    let empty_v2 = "4:memory:/user.slice\n2:cpu,cpuacct:/\n1:name=systemd:/system.slice/a.service\n0::/\n";
    assert_eq!(path_of(empty_v2), Some("/system.slice/a.service"));
    let without_systemd = format!("3:pids:/docker/{A}\n2:memory:/docker/{A}\n1:cpuset:/\n");
    assert_eq!(path_of(&without_systemd), Some(&*format!("/docker/{A}")));
    let nested = format!("2:memory:/docker/{A}\n1:name=systemd:/docker/{A}/system.slice/a.service\n");
    assert_eq!(path_of(&nested), Some(&*format!("/docker/{A}/system.slice/a.service")));
}

#[test]
fn what_is_no_cgroup_file_has_no_path() {
    for text in ["", "\n\n", "0:", "0::", "0::relative", "no colons"] {
        assert_eq!(path_of(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(text in r"(?s).{0,300}") {
        let _ = owner(&text);
        let _ = path_of(&text);
    }

    #[test]
    fn nearly_paths_are_bounded_and_printable(
        path in r"(/|:|-|lxc|lxc\.payload\.|payload|docker-|libpod-|crun-|[0-9a-f]{64}|[0-9a-f]{12}|kubepods|-pod|pod|\.slice|\.scope|\.service|\\x2d|\\x0a|\\xc3|_|\.\.|\PC|[\x00-\x20]){0,40}"
    ) {
        let found = owner(&path);
        let names = [found.unit, found.pod_uid, found.container.map(|it| it.id)];
        for name in names.into_iter().flatten() {
            prop_assert!((1..=256).contains(&name.len()), "{}", name);
            prop_assert!(!name.chars().any(char::is_control), "{:?}", name);
        }
        let line = format!("0::/{path}");
        prop_assert!(path_of(&line).is_some());
    }
}
