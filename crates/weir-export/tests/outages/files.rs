//! Files on a disk that is full for a while, and that others move away and take away meanwhile.

use crate::common::flows::{self, count, once, parsed};
use crate::common::moto::rows_in;
use crate::{courier, fails, settle, state};
use std::collections::BTreeMap;
use std::fs;
use weir_export::Courier;
use weir_tests::disk::Disk;
use weir_tests::folder::Folder;

fn write(courier: &mut Courier, from: u64) {
    courier.write(&flows::records(from..from + 100)).expect("it is taken, or waits on disk");
}

/// Nothing is half there, and each is there once.
#[test]
fn root_a_file_has_each_record() {
    let (folder, place) = (Folder::new("outages"), Folder::new("outages"));
    let disk = Disk::of(&place, "4m");
    let file = disk.place().join("flows.json");
    let read = |name: &str| fs::read_to_string(disk.place().join(name)).expect("a file");
    let mut courier = courier(&folder, &format!("file:{}", file.display()));
    write(&mut courier, 0);
    settle(&mut courier);
    disk.fill();
    write(&mut courier, 100);
    fails(&mut courier, 2);
    let away = state(&courier);
    assert!(away.error.as_ref().is_some_and(|error| error.contains("No space left on device")), "{away:?}");
    assert_eq!(away.spooled_records, 100);
    assert_eq!(count(&parsed(&read("flows.json"))), once(0..100));
    disk.free();
    settle(&mut courier);

    // Moved away, as by logrotate; then taken away; then something else is in its place.
    fs::rename(&file, disk.place().join("moved")).expect("a file");
    write(&mut courier, 200);
    settle(&mut courier);
    let second = read("flows.json");
    fs::remove_file(&file).expect("a file");
    fs::create_dir(&file).expect("a folder");
    let failed = state(&courier).failures;
    write(&mut courier, 300);
    fails(&mut courier, failed + 2);
    let away = state(&courier);
    assert!(away.error.as_ref().is_some_and(|error| error.contains("it is no file")), "{away:?}");
    fs::remove_dir(&file).expect("a folder");
    settle(&mut courier);
    write(&mut courier, 400);
    courier.finish().expect("it lasts");
    let all = [read("moved"), second, read("flows.json")].concat();
    assert_eq!(count(&parsed(&all)), once(0..500));
    assert_eq!((state(&courier).refused_records, state(&courier).spooled_records), (0, 0));
}

/// How often each number is in a directory's files.
fn there(folder: &str) -> BTreeMap<u64, usize> {
    let rows = rows_in(folder);
    let number = |id: &str| u64::from_str_radix(id, 16).expect("a number");
    crate::counted(rows.iter().map(|row| number(row["flow_id"].as_str().expect("an id"))))
}

fn each_once(numbers: std::ops::Range<u64>) -> BTreeMap<u64, usize> {
    numbers.map(|number| (number, 1)).collect()
}

#[test]
fn root_a_directory_has_each_record() {
    let (folder, place) = (Folder::new("outages"), Folder::new("outages"));
    let disk = Disk::of(&place, "2m");
    let directory = disk.place().join("kept");
    let path = directory.display().to_string();
    // A file of each batch.
    let mut courier = courier(&folder, &format!("dir:{path}?size=1B&every=24h"));
    write(&mut courier, 0);
    settle(&mut courier);
    assert_eq!(there(&path), each_once(0..100));
    disk.fill();
    write(&mut courier, 100);
    fails(&mut courier, 2);
    let away = state(&courier);
    assert!(away.error.as_ref().is_some_and(|error| error.contains("No space left on device")), "{away:?}");
    assert_eq!((away.spooled_records, there(&path)), (100, each_once(0..100)));
    disk.free();
    settle(&mut courier);

    let moved = disk.place().join("moved");
    fs::rename(&directory, &moved).expect("a folder");
    fs::write(&directory, "").expect("a file");
    let failed = state(&courier).failures;
    write(&mut courier, 200);
    fails(&mut courier, failed + 2);
    fs::remove_file(&directory).expect("a file");
    settle(&mut courier);
    write(&mut courier, 300);
    courier.finish().expect("it lasts");
    assert_eq!(there(&moved.display().to_string()), each_once(0..200));
    assert_eq!(there(&path), each_once(200..400));
    assert_eq!((state(&courier).refused_records, state(&courier).spooled_records), (0, 0));
}
