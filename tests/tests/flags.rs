//! `weir flows`: each of its flags finds what DuckDB finds in the same directory.

mod kept;

use kept::{interface, keep};
use serde_json::Value;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;
use weir_record::{
    Addresses, Container, ContainerDetails, Direction, End, FlowKey, FlowRecord, Process, Workload,
};
use weir_tests::agent::binary;
use weir_tests::duckdb::{duckdb, table};
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::iperf::iperf;
use weir_tests::pair::{LEFT, LEFT_IPV6, Pair, RIGHT, RIGHT_IPV6};
use weir_tests::shell::{Shell, shell};

const SECOND: u64 = 1_000_000_000;
/// 2023-11-14 22:00 UTC.
const START: u64 = 1_699_999_200 * SECOND;

/// Somebody in a container and a pod.
fn inside(container: &str, name: &str, namespace: &str, pod: &str) -> End {
    let container = Container { id: container.repeat(64 / container.len()), ..Container::default() };
    let process =
        Process { pid: 4711, command: "cart".into(), container: Some(container), ..Process::default() };
    let workload =
        Workload { pod: Some(pod.into()), namespace: Some(namespace.into()), ..Workload::default() };
    let details = ContainerDetails { name: Some(name.into()), ..ContainerDetails::default() };
    End {
        process: Some(Arc::new(process)),
        workload: Some(Arc::new(workload)),
        container: Some(Arc::new(details)),
        ..End::default()
    }
}

/// Records of another day, a second apart, for what no agent finds on a host without containers.
fn others() -> Vec<FlowRecord> {
    let interface = interface();
    let v4 = Addresses::V4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 7));
    let v6 = Addresses::V6("2001:db8::1".parse().expect("one"), "2001:db8:1::2".parse().expect("one"));
    let web = || inside("4f1d2a7c", "web-1", "shop", "web-5d9");
    let api = || inside("0123456789abcdef", "api-1", "shop", "api-77c");
    let cart = || inside("4f1d2a7d", "4f1d", "stage", "web-5d9");
    let ends = [
        (web(), End::default()),
        (End::default(), web()),
        (api(), cart()),
        (cart(), api()),
        (cart(), End::default()),
        (End::default(), End::default()),
    ];
    let records = ends.into_iter().zip(1..).map(|((source, destination), number)| {
        let addresses = if number % 2 == 0 { v6 } else { v4 };
        let key =
            FlowKey::Ip { vlan: None, addresses, protocol: 132, ports: Some((40_000, 8000 + number as u16)) };
        let end = START + number * SECOND;
        let blank = FlowRecord::blank(Arc::clone(&interface), Direction::Egress, key);
        FlowRecord {
            flow_id: number,
            start: end,
            end,
            packets: number,
            bytes: 400 * number,
            source,
            destination,
            ..blank
        }
    });
    records.collect()
}

/// A shell that lives long enough to be known.
fn says(pair: &Pair, script: &str) {
    let Shell(child) = &mut shell(&pair.left, &format!("exec 2>/dev/null; {script}; sleep 0.3"));
    child.wait().expect("it ends");
}

/// Traffic of several processes, by both families, some of it in vain; and what was kept before.
fn traffic(pair: &Pair, folder: &Folder) {
    pair.left.ip("link set lo up");
    let hosts = folder.write("hosts", format!("{RIGHT} files.internal\n{RIGHT_IPV6} mail.internal\n"));
    let agent = keeping(pair, folder, &["-i", "lo", "--hosts-file", &hosts, "--idle-timeout", "300ms"]);
    let addresses = [(RIGHT, 5000), (RIGHT_IPV6, 5001)];
    let listening = addresses.map(|at| pair.right.enter(|| TcpListener::bind(at).expect("a port")));
    iperf(&pair.left, &pair.right, RIGHT, "100K");
    iperf(&pair.left, &pair.right, RIGHT_IPV6, "300K");
    for (address, port) in addresses {
        says(pair, &format!("echo hello >/dev/tcp/{address}/{port}"));
    }
    // Nobody is there.
    says(pair, &format!("echo hello >/dev/tcp/{RIGHT}/6007"));
    pair.left.run(
        "/usr/bin/python3",
        &[
            "-c",
            &format!(
                "import socket, time
for family, address in (socket.AF_INET, '{RIGHT}'), (socket.AF_INET6, '{RIGHT_IPV6}'):
    one = socket.socket(family, socket.SOCK_DGRAM)
    for _ in range(3): one.sendto(b'hello', (address, 5353))
time.sleep(0.3)"
            ),
        ],
    );
    for address in [RIGHT, RIGHT_IPV6, "127.0.0.1"] {
        pair.left.run("ping", &["-c", "2", "-i", "0.01", address]);
    }
    for address in [LEFT, LEFT_IPV6] {
        pair.right.run("ping", &["-c", "2", "-i", "0.01", address]);
    }
    sleep(Duration::from_secs(1));
    drop(listening);
    agent.stop().assert_observed();
    keep(&folder.place().join("history"), &others(), true);
}

/// The flows that it finds.
fn found(folder: &Folder, flags: &str) -> Vec<String> {
    let mut weir = Command::new(binary());
    weir.args(["flows", "-o", "json", "--fields", "flow_id", "--data-dir", &folder.path("history")]);
    weir.args(flags.split_whitespace()).env("TZ", "UTC");
    let output = weir.output().expect("weir starts");
    assert!(output.status.success(), "{flags}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut ids: Vec<_> = lines.map(|line| line["flow_id"].as_str().expect("text").to_owned()).collect();
    ids.sort();
    ids
}

/// Flags, and the same in SQL.
const FLAGS: [(&str, &str); 44] = [
    ("--from 10.77.0.1", "source_address = '10.77.0.1'"),
    ("--from fd00::1", "source_address = 'fd00::1'"),
    ("--from 10.77.0.0/31", "source_address in ('10.77.0.0', '10.77.0.1')"),
    ("--from fd00::/127", "source_address in ('fd00::', 'fd00::1')"),
    ("--from 2001:db8::/48", "source_address like '2001:db8::%'"),
    ("--to 10.77.0.2,fd00::2", "destination_address in ('10.77.0.2', 'fd00::2')"),
    ("--to 10.77.0.2 --to fd00::2", "destination_address in ('10.77.0.2', 'fd00::2')"),
    ("--to files.internal", "destination_name = 'files.internal'"),
    ("--to *.internal", "destination_name like '%.internal'"),
    ("--from 10.77.0.1 --to files.*", "source_address = '10.77.0.1' and destination_name like 'files.%'"),
    ("--port 5000", "5000 in (source_port, destination_port)"),
    ("--port 5353,6007", "source_port in (5353, 6007) or destination_port in (5353, 6007)"),
    ("--port 5000-5201", "source_port between 5000 and 5201 or destination_port between 5000 and 5201"),
    ("--protocol udp", "protocol = 'udp'"),
    ("--protocol icmp,icmpv6", "protocol in ('icmp', 'icmpv6')"),
    ("--protocol icmp*", "protocol like 'icmp%'"),
    ("--protocol 132", "interface = 'eth0'"),
    ("--process bash", "'bash' in (source_process, destination_process)"),
    (
        "--process ping,pyth*",
        "source_process = 'ping' or destination_process = 'ping' or source_process like 'pyth%'",
    ),
    ("--process 4711", "4711 in (source_pid, destination_pid)"),
    (
        "--not --process bash",
        "'bash' not in (coalesce(source_process, ''), coalesce(destination_process, ''))",
    ),
    ("--not --port 5201 --protocol tcp", "5201 not in (source_port, destination_port) and protocol = 'tcp'"),
    ("--not --from fd00::1,10.77.0.1", "source_address not in ('fd00::1', '10.77.0.1')"),
    ("--not --to *.internal", "coalesce(destination_name, '') not like '%.internal'"),
    ("--interface weir0", "interface = 'weir0'"),
    ("--interface weir*,lo", "interface in ('weir0', 'lo')"),
    ("--not --interface eth?", "interface <> 'eth0'"),
    ("--dropped", "dropped_packets > 0"),
    ("--not --dropped", "coalesce(dropped_packets, 0) = 0"),
    ("--min-bytes 2KiB", "bytes >= 2048 or reverse_bytes >= 2048"),
    ("--min-bytes 200KiB --not --from 10.77.0.0/16", "bytes >= 204800 and source_address not like '10.77.%'"),
    ("--since 1h", "interface <> 'eth0'"),
    ("--until 2023-11-15", "interface = 'eth0'"),
    (
        "--since 2023-11-14T22:00:02Z --until 2023-11-14T22:00:04Z",
        "\"end\" between timestamptz '2023-11-14 22:00:02+00' and timestamptz '2023-11-14 22:00:04+00'",
    ),
    (
        "--since 2023-11-14T22:00:02.000000001Z --until 2023-11-14T22:00:03.999999999Z",
        "\"end\" = timestamptz '2023-11-14 22:00:03+00'",
    ),
    ("--last 2 --until 2023-11-14T22:00:04Z", "interface = 'eth0' and packets in (3, 4)"),
    ("-n shop", "'shop' in (source_namespace, destination_namespace)"),
    ("--namespace s*g?", "'stage' in (source_namespace, destination_namespace)"),
    ("--container web-1", "'web-1' in (source_container_name, destination_container_name)"),
    ("--container 4f1d2a7", "source_container like '4f1d2a7%' or destination_container like '4f1d2a7%'"),
    ("--container 4f1d2a7c --not --container *-1", "false"),
    (
        "--container api*,4f1d2a7d",
        "source_container_name like 'api%' or destination_container_name like 'api%' or source_container like '4f1d2a7d%'",
    ),
    ("--pod web-*", "source_pod like 'web-%' or destination_pod like 'web-%'"),
    (
        "--pod shop/web-*",
        "source_namespace = 'shop' and source_pod like 'web-%' or destination_namespace = 'shop' and destination_pod like 'web-%'",
    ),
];

#[test]
fn root_each_flag_finds_what_duckdb_finds() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("flags"));
    traffic(&pair, &folder);
    // A row for each record: whether each of the conditions is true of it.
    let conditions = FLAGS.map(|(_, condition)| format!("coalesce({condition}, false)")).join(", ");
    let files = table(&folder.place().join("history"), "flows");
    let rows = duckdb(&format!("select flow_id, {conditions} from {files} order by flow_id"));
    let wanted = |number: usize| -> Vec<_> {
        let fit = rows.iter().filter(|row| row[number + 1] == true);
        fit.map(|row| row[0].as_str().expect("text").to_owned()).collect()
    };
    for (number, (flags, condition)) in FLAGS.iter().enumerate() {
        let is_bounded = ["--since", "--until", "--last"].iter().any(|flag| flags.contains(flag));
        let all = if is_bounded { "" } else { " --all" };
        let wanted = wanted(number);
        assert!(*condition == "false" || (1..rows.len()).contains(&wanted.len()), "{flags}: {rows:#?}");
        assert_eq!(found(&folder, &format!("{flags}{all}")), wanted, "{flags}");
    }
    // What the agent has kept is the newest.
    let newest = found(&folder, "--since 1h");
    assert_eq!(found(&folder, &format!("--last {}", newest.len())), newest);
    assert_eq!(found(&folder, "--all").len(), rows.len());
}
