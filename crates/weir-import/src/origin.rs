//! What records of a file say of where they are from.

use hashbrown::HashMap;
use std::sync::Arc;
use weir_record::{Count, FlowRecord, Interface, InterfaceKind};

/// The last time that the columns of a history can hold, in nanoseconds since the Unix epoch.
pub(crate) const LAST_TIME: u64 = i64::MAX as u64;
/// Counters from here on are none: sums could not be made of them.
const MAX_COUNT: u64 = 1 << 48;

/// More interfaces of a file are taken together: no host has as many.
pub(crate) const MAX_INTERFACES: usize = 65_536;

/// A file that others have recorded.
pub(crate) struct Origin {
    file: Arc<str>,
    /// In place of a network namespace: none has such a name.
    netns: Arc<str>,
    /// Those that the file does not name, by number.
    interfaces: HashMap<u32, Arc<Interface>>,
}

impl Origin {
    pub fn new(file: &str) -> Self {
        Self { file: file.into(), netns: format!("import:{file}").into(), interfaces: HashMap::new() }
    }

    /// An interface of it; one without a name has that of the file.
    pub fn interface(&self, name: Option<&str>, index: u32) -> Interface {
        Interface {
            name: name.unwrap_or(&self.file).to_owned(),
            index,
            netns: Arc::clone(&self.netns),
            own_netns: false,
            kind: InterfaceKind::Other,
        }
    }

    /// The interface of this number, which the file does not name.
    pub fn unnamed(&mut self, index: u32) -> Arc<Interface> {
        let is_full = self.interfaces.len() >= MAX_INTERFACES && !self.interfaces.contains_key(&index);
        let index = if is_full { 0 } else { index };
        if let Some(known) = self.interfaces.get(&index) {
            return Arc::clone(known);
        }
        let interface = Arc::new(self.interface(None, index));
        self.interfaces.insert(index, Arc::clone(&interface));
        interface
    }
}

/// Packets and bytes of both directions; none if they make no sense.
pub(crate) fn counted(record: &FlowRecord) -> Option<Count> {
    let forth = Count { packets: record.packets, bytes: record.bytes };
    let back = record.reverse.map_or_else(Count::default, |reverse| reverse.count);
    let is_sane = [forth, back].iter().all(|count| count.packets < MAX_COUNT && count.bytes < MAX_COUNT);
    is_sane.then(|| {
        let mut sum = forth;
        sum += back;
        sum
    })
}
