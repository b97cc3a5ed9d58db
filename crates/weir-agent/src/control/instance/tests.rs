//! Agents that come, go and are killed.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A directory of one test's own, gone after it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("weirt-instance-{}-{number}", std::process::id())))
    }

    fn claim(&self, forced: Option<&Path>) -> Result<Instance, Unclaimed> {
        let turn = take_turns(&self.0)?;
        Instance::claim_in(&self.0, &turn, forced)
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// As `kill -9` leaves it: the lock is gone with its holder, the files are there.
    fn leave(&self, instance: Instance) {
        let kept = self.0.with_extension("kept");
        let _turn = take_turns(&self.0).expect("our turn");
        fs::rename(&self.0, &kept).expect("moved out of its reach");
        drop(instance);
        fs::rename(&kept, &self.0).expect("moved back");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn each_gets_the_lowest_free_number_and_leaves_nothing() {
    let place = Place::new();
    let claim = || place.claim(None).expect("a number");
    let (first, second, third) = (claim(), claim(), claim());
    assert_eq!([first.number(), second.number(), third.number()], [1, 2, 3]);
    assert_eq!(second.socket(), place.0.join("weir-2.sock"));
    drop(second);
    let again = claim();
    assert_eq!(again.number(), 2);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(again.socket()), mode(&place.0)), (0o660, 0o755));
    drop((first, again, third));
    assert!(!place.0.exists(), "{:?}", place.files());
}

#[test]
fn what_a_killed_one_left_is_taken_over() {
    let place = Place::new();
    let claimed: Vec<_> = (0..3).map(|_| place.claim(None).expect("a number")).collect();
    claimed.into_iter().for_each(|instance| place.leave(instance));
    assert_eq!(place.files().len(), 6);
    let successor = place.claim(None).expect("a number");
    assert_eq!(successor.number(), 1);
    assert_eq!(place.files(), ["weir.lock", "weir.sock"]);
}

#[test]
fn many_at_once_never_share() {
    let place = Place::new();
    let mut numbers: Vec<_> = thread::scope(|scope| {
        let claims: Vec<_> = (0..16).map(|_| scope.spawn(|| place.claim(None).expect("a number"))).collect();
        let held: Vec<_> = claims.into_iter().map(|claim| claim.join().expect("claims")).collect();
        held.iter().map(Instance::number).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=16).collect::<Vec<_>>());
    // Coming and going at once.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| drop(place.claim(None).expect("a number"))));
        }
    });
    assert!(!place.0.exists(), "{:?}", place.files());
}

#[test]
fn a_path_by_name_is_not_taken_from_others() {
    let place = Place::new();
    let first = place.claim(None).expect("a number");
    let path = place.0.join("mine");
    let named = place.claim(Some(&path)).expect("a path of its own");
    assert_eq!((named.number(), named.socket()), (2, &*path));
    assert_eq!(socket_of(&place.0.join("weir-2.lock")).as_ref(), Some(&path));
    assert!(matches!(place.claim(Some(&path)), Err(Unclaimed::InUse(_))));
    drop(named);
    fs::write(&path, "not a socket").expect("a file");
    assert!(matches!(place.claim(Some(&path)), Err(Unclaimed::NoSocket(_))));
    assert_eq!(fs::read_to_string(&path).expect("it stays"), "not a socket");
    assert!(matches!(place.claim(Some(Path::new("/nowhere/x"))), Err(Unclaimed::Refused { .. })));
    fs::remove_file(&path).expect("a file");
    drop(first);
    assert!(!place.0.exists(), "{:?}", place.files());
}

#[test]
fn lock_files_have_numbers() {
    let number = |name: &str| number_of(Path::new(name));
    assert_eq!(number("/run/weir/weir.lock"), Some(1));
    assert_eq!(number("/run/weir/weir-12.lock"), Some(12));
    for other in ["weir-1.lock", "weir-x.lock", "weir.sock", "x.lock", ""] {
        assert_eq!(number(other), None, "{other}");
    }
}
