use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

const PID: u32 = 42;
const STAT: &[u8] = b"42 (a) b) S 7 42 42 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 3866704 3133440 380 0\n";

/// A made-up /proc with one process, until the test is over.
struct Proc(PathBuf);

impl Proc {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let proc = Self(std::env::temp_dir().join(format!("weir-process-{}-{number}", std::process::id())));
        fs::create_dir_all(proc.folder()).expect("a folder can be made");
        proc.write("stat", STAT);
        proc.write("status", b"Name:\ta) b\nPPid:\t7\nUid:\t1000\t1001\t1002\t1003\n");
        proc.write("comm", b"a) b\n");
        proc
    }

    fn folder(&self) -> PathBuf {
        self.0.join(PID.to_string())
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.folder().join(name), content).expect("a file can be written");
    }

    fn read(&self, arguments: Arguments) -> Option<Process> {
        read(&self.0, PID, arguments)
    }

    fn arguments(&self, cmdline: &[u8], limit: usize) -> Option<String> {
        self.write("cmdline", cmdline);
        self.read(Arguments::UpTo(limit)).expect("it is there").arguments
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shown(pieces: &[&str]) -> String {
    masked(pieces).join(" ")
}

#[test]
fn everything_about_a_process_is_read() {
    let proc = Proc::new();
    proc.write("cmdline", b"/usr/bin/a\0-v\0\xff\x1b\0");
    proc.write("cgroup", b"1:name=systemd:/\n0::/system.slice/a.service\n");
    symlink("/usr/bin/a (deleted)", proc.folder().join("exe")).expect("a link can be made");
    let expected = Process {
        pid: PID,
        parent: 7,
        start_ticks: 3_866_704,
        user_id: 1001,
        command: "a) b".into(),
        executable: Some("/usr/bin/a".into()),
        arguments: Some("/usr/bin/a -v \u{fffd}\\u{1b}".into()),
        cgroup: Some("/system.slice/a.service".into()),
    };
    assert_eq!(proc.read(Arguments::UpTo(100)), Some(expected.clone()));
    assert_eq!(proc.read(Arguments::Hidden), Some(Process { arguments: None, ..expected }));
}

#[test]
fn a_thread_of_the_kernel_has_neither_program_nor_arguments() {
    let proc = Proc::new();
    assert_eq!(proc.arguments(b"", 100), None);
    let process = proc.read(Arguments::UpTo(100)).expect("it is there");
    assert_eq!((process.executable, process.cgroup), (None, None));
}

#[test]
fn a_process_that_is_gone_is_none() {
    let proc = Proc::new();
    assert_eq!(read(&proc.0, PID + 1, Arguments::Hidden), None);
    for (name, content) in [("comm", None), ("status", Some("Uid:\tx\n")), ("stat", Some("42 (a) S"))] {
        let proc = Proc::new();
        match content {
            Some(content) => proc.write(name, content.as_bytes()),
            None => fs::remove_file(proc.folder().join(name)).expect("it was there"),
        }
        assert_eq!(proc.read(Arguments::Hidden), None, "{name}");
    }
}

#[test]
fn a_name_with_control_characters_is_escaped() {
    let proc = Proc::new();
    proc.write("comm", b"a\n\x1b[2J\xff\n");
    assert_eq!(proc.read(Arguments::Hidden).expect("it is there").command, "a\\n\\u{1b}[2J\u{fffd}");
}

#[test]
fn this_process_is_as_the_system_says() {
    let id = std::process::id();
    let process = read(Path::new("/proc"), id, Arguments::UpTo(4096)).expect("this process is there");
    assert_eq!(process.pid, id);
    assert_eq!(process.parent, std::os::unix::process::parent_id());
    let folder = fs::metadata("/proc/self").expect("this process has a folder");
    assert_eq!(process.user_id, folder.uid());
    let program = std::env::current_exe().expect("this process has a program");
    assert_eq!(process.executable.as_deref(), program.to_str());
    let first = std::env::args().next().expect("this process has a name");
    assert!(process.arguments.expect("this process has arguments").starts_with(&first));
    assert!(process.cgroup.is_some_and(|path| path.starts_with('/')));
    assert!(process.start_ticks > 0);
}

#[test]
fn long_arguments_are_cut_between_characters() {
    let proc = Proc::new();
    assert_eq!(proc.arguments(b"a\0bcd\0", 5).as_deref(), Some("a bcd"));
    assert_eq!(proc.arguments(b"a\0bcde\0", 5).as_deref(), Some("a bcd…"));
    assert_eq!(proc.arguments("aé\0".as_bytes(), 2).as_deref(), Some("a…"));
    assert_eq!(proc.arguments(b"a\0", 0).as_deref(), Some("…"));
    let long = "abc ".repeat(1 << 18);
    let read = proc.arguments(long.as_bytes(), usize::MAX).expect("there are arguments");
    assert!(read.len() < ARGUMENTS + CUT.len_utf8() && read.ends_with("abc…"), "{}", read.len());
}

#[test]
fn a_secret_that_is_cut_is_masked_all_the_same() {
    let proc = Proc::new();
    assert_eq!(proc.arguments(b"a\0--password=hunter2\0", 15).as_deref(), Some("a --password=**…"));
    for before in 0..40 {
        let url =
            format!("a {}http://user:hunter2@host/ {}", "x".repeat(ARGUMENTS - 2 - before), "y".repeat(99));
        let url = url.replacen("xhttp", " http", 1);
        let read = proc.arguments(url.as_bytes(), usize::MAX).expect("there are arguments");
        assert!(!read.contains("user:h"), "{before}: {}", &read[4500..]);
    }
    let endless = [b'x'; 9999];
    assert_eq!(proc.arguments(&endless, usize::MAX).as_deref(), Some("…"));
}

#[test]
fn secrets_are_masked() {
    for (pieces, expected) in [
        (&["a", "--password=hunter2", "b"][..], "a --password=*** b"),
        (&["a", "--password", "hunter2 x", "b"], "a --password *** b"),
        (&["a", "-token", "hunter2"], "a -token ***"),
        (&["a", "--DB-Password=hunter2"], "a --DB-Password=***"),
        (&["env", "MYSQL_PWD=hunter2", "mysql"], "env MYSQL_PWD=*** mysql"),
        (&["docker", "-e", "AWS_SECRET_ACCESS_KEY=hunter2"], "docker -e AWS_SECRET_ACCESS_KEY=***"),
        (&["a", "--api-key=1", "--apikey=1", "api_key=1"], "a --api-key=*** --apikey=*** api_key=***"),
        (&["a", "--access-key=1", "--private_key", "1"], "a --access-key=*** --private_key ***"),
        (&["a", "--credentials=1", "--basic-auth", "me:1"], "a --credentials=*** --basic-auth ***"),
        (&["a", "--no-password", "--host=b"], "a --no-password --host=b"),
        (&["a", "--token"], "a --token"),
        (&["sh", "-c", "mysql --password hunter2 -h b"], "sh -c mysql --password ***"),
        (&["sh", "-c", "TOKEN='hunter2 x' b"], "sh -c TOKEN=***"),
        (&["a", r#"{"user": "b", "password": "hunter2"}"#], r#"a {"user": "b", "password": ***"#),
        (&["curl", "-H", "Authorization: Bearer hunter2"], "curl -H Authorization: ***"),
        (&["curl", "-H", "authorization:hunter2"], "curl -H authorization:***"),
        (&["curl", "-H", "X-Api-Key: hunter2"], "curl -H X-Api-Key: ***"),
        (&["curl", "https://h/?a=1&token=hunter2"], "curl https://h/?a=1&token=***"),
        (&["psql", "postgres://me:hunter2@db/x"], "psql postgres://me:***@db/x"),
        (&["psql", "postgres://me:hu/nt@er2@db/x"], "psql postgres://me:***@db/x"),
        (&["a", "--url=amqp://me:hunter2@h", "x"], "a --url=amqp://me:***@h x"),
        (&["sh", "-c", "a 'b://c:d@e' f://g:h@i"], "sh -c a 'b://c:***@e' f://g:***@i"),
    ] {
        assert_eq!(shown(pieces), expected);
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    for piece in [
        "--author=me",
        "--authority=here",
        "--co-author",
        "-phunter2",
        "auth-service:1.2",
        "/run/secrets:/run/secrets",
        "http://host:80/path",
        "http://[::1]:80/",
        "http://me@host/",
        "me@host:/path",
        "a=b",
    ] {
        assert_eq!(shown(&[piece, "next"]), format!("{piece} next"));
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![r"(?s).{0,20}", r#"(--|-|password|PWD|token|auth|or|=|:| |"|'|://|@|user|é|\n){0,10}"#,]
}

proptest! {
    #[test]
    fn a_secret_never_survives(
        before in vec(piece(), 0..4), secret in "[a-zA-Z0-9]{4,20}", after in vec(piece(), 0..4), limit in 0..200usize
    ) {
        let others = [&before[..], &after].concat().join("\n");
        prop_assume!(!others.contains(&secret) && !"--password=***".contains(&secret));
        let pieces = [before, vec![format!("--password={secret}")], after].concat();
        let raw = pieces.join("\0").into_bytes();
        let line = command_line(raw, limit).unwrap_or_default();
        prop_assert!(!line.contains(&secret), "{}", line);
        prop_assert!(line.len() <= limit + CUT.len_utf8());
        prop_assert!(!line.chars().any(char::is_control));
    }

    #[test]
    fn a_secret_of_its_own_never_survives(before in vec(piece(), 0..4), secret in "[a-zA-Z0-9]{4,20}") {
        prop_assume!(!before.join("\n").contains(&secret) && !"--password***".contains(&secret));
        let pieces = [before, vec!["--password".into(), secret.clone()]].concat();
        prop_assert!(!shown(&pieces.iter().map(String::as_str).collect::<Vec<_>>()).contains(&secret));
    }

    #[test]
    fn any_arguments_are_taken(raw in vec(any::<u8>(), 0..6000), limit in any::<usize>()) {
        command_line(raw, limit);
    }

    #[test]
    fn any_name_is_read_over(name in vec(any::<u8>(), 0..20), parent in any::<u32>(), start in any::<u64>()) {
        let after = format!(") S {parent} 42 42 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 {start} 3133440 380\n");
        let stat = [b"42 (", &name[..], after.as_bytes()].concat();
        prop_assert_eq!(parse_stat(&stat), Some((parent, start)));
    }

    #[test]
    fn any_stat_is_taken(stat in vec(any::<u8>(), 0..200), cut in 0..STAT.len()) {
        parse_stat(&stat);
        parse_stat(&STAT[..cut]);
    }
}
