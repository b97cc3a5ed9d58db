use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use weir_record::{Count, Direction, FlowKey, Interface, InterfaceKind, Layer, Observation};

/// Counts what it takes; does not begin before it is let, and fails to make things last as often as it is told.
#[derive(Clone, Default)]
struct Probe {
    taken: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
    gate: Arc<Mutex<()>>,
}

impl Sink for Probe {
    fn name(&self) -> &str {
        "probe"
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let _open = self.gate.lock().expect("nobody panics");
        self.taken.fetch_add(records.len(), Ordering::Relaxed);
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        let fails = self.taken.load(Ordering::Relaxed) > 0 && self.failures.load(Ordering::Relaxed) > 0;
        if !fails {
            return Ok(());
        }
        self.failures.fetch_sub(1, Ordering::Relaxed);
        Err(io::ErrorKind::StorageFull.into())
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        Ok(())
    }
}

/// Takes what it is sent, and only adds it up.
struct Adder;

impl Sink for Adder {
    fn name(&self) -> &str {
        "adder"
    }

    fn is_output(&self) -> bool {
        false
    }

    fn write(&mut self, _records: &[FlowRecord]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        Ok(())
    }
}

/// Books with one account, and a record of one packet there.
fn books() -> (Books, u16, FlowRecord) {
    let mut books = Books::new(16, Box::new(drop));
    let (name, netns) = ("eth0".into(), "1".into());
    let interface =
        Arc::new(Interface { name, index: 2, netns, own_netns: true, kind: InterfaceKind::Physical });
    let point = books.open(&interface, Layer::Outer).expect("there is room");
    let count = Count { packets: 1, bytes: 60 };
    let key = FlowKey::Other { vlan: None, ethertype: 0x0806 };
    let mut record = FlowRecord::blank(Arc::clone(&interface), Direction::Ingress, key);
    (record.packets, record.bytes) = (count.packets, count.bytes);
    let (direction, layer, vlan) = (Direction::Ingress, Layer::Outer, None);
    let (translated, reverse) = (false, false);
    record.observations.push(Observation {
        point,
        interface,
        direction,
        layer,
        vlan,
        translated,
        reverse,
        count,
    });
    (books, point, record)
}

fn push(outlet: &mut Outlet, books: &mut Books, point: u16, record: &FlowRecord, count: usize) {
    for _ in 0..count {
        books.hold(point, Count { packets: 1, bytes: 60 });
        outlet.push(record.clone(), books);
    }
    outlet.send(books);
}

#[test]
fn a_slow_sink_loses_by_itself() {
    let (fast, slow) = (Probe::default(), Probe::default());
    let (mut books, point, record) = books();
    let mut outlet = Outlet::new(fast.clone()).and_then(|outlet| outlet.and(slow.clone())).expect("threads");
    let all = QUEUE + 3 * BATCH;
    let closed = slow.gate.lock().expect("nobody panics");
    for _ in 0..all / BATCH {
        push(&mut outlet, &mut books, point, &record, BATCH);
        while outlet.states()[0].queued_records > 0 {
            outlet.collect(&mut books);
        }
    }
    let [of_fast, of_slow] = &outlet.states()[..] else { panic!("two sinks") };
    assert_eq!((of_fast.written_records, of_fast.lost_records), (all as u64, 0));
    assert_eq!((of_slow.written_records, of_slow.lost_records), (0, 3 * BATCH as u64));
    assert_eq!(of_slow.lost, Count { packets: 3 * BATCH as u64, bytes: 3 * 60 * BATCH as u64 });
    drop(closed);
    outlet.finish(&mut books).expect("nothing failed");
    assert_eq!((fast.taken.load(Ordering::Relaxed), slow.taken.load(Ordering::Relaxed)), (all, QUEUE));
    let account = books.account(point).expect("an account");
    assert_eq!((account.exported.packets, account.held.packets), (all as u64, 0));
    assert!(account.lost.is_empty());
}

#[test]
fn what_does_not_last_is_lost_once_no_sink_has_it() {
    type Beside = fn(Outlet) -> Result<Outlet>;
    let cases: [(Beside, u64); 3] =
        [(Ok, 10), (|outlet| outlet.and(Probe::default()), 20), (|outlet| outlet.and(Adder), 10)];
    for (beside, exported) in cases {
        let failing = Probe::default();
        failing.failures.store(1, Ordering::Relaxed);
        let (mut books, point, record) = books();
        let mut outlet = Outlet::new(failing).and_then(beside).expect("threads");
        push(&mut outlet, &mut books, point, &record, 10);
        while outlet.states()[0].lost_records == 0 {
            outlet.collect(&mut books);
        }
        push(&mut outlet, &mut books, point, &record, 10);
        assert!(outlet.finish(&mut books).is_err_and(|error| error.kind() == io::ErrorKind::StorageFull));
        let account = books.account(point).expect("an account");
        assert_eq!(account.exported.packets, exported);
        assert_eq!(account.lost_total().packets, 20 - exported);
        assert_eq!(account.held, Count::default());
    }
}
