//! Which probe a program belongs to.

use crate::calls::Call;
use crate::sockets::Hooks;
use crate::{dns, drops, flows, hellos, holders, processes, retransmits, sockets, tcp};

/// A probe's name, and all of its programs in several lists: those that are attached, and those that run when they are
/// asked.
type Probe = (&'static str, &'static [&'static [&'static str]]);

const PROBES: [Probe; 10] = [
    ("flows", &[&flows::PROGRAMS, &[flows::CLOCK]]),
    ("sockets", &[Hooks::Tracepoints.programs(), Hooks::Functions.programs(), &sockets::OTHERS]),
    ("processes", &[&processes::PROGRAMS]),
    ("dns", &[&dns::PROGRAMS]),
    ("hellos", &[&hellos::PROGRAMS]),
    ("tcp", &[&tcp::PROGRAMS, &[tcp::NOW]]),
    ("drops", &[&[drops::PROGRAM]]),
    ("retransmits", &[&retransmits::PROGRAMS]),
    (
        "calls",
        &[Call::Exec.programs(), Call::Bind.programs(), Call::Connect.programs(), Call::Accept.programs()],
    ),
    ("holders", &[&[holders::PROGRAM]]),
];

/// The name of the probe that has this program; none where it is not of this version of Weir.
pub fn probe_of(program: &str) -> Option<&'static str> {
    let has = |(_, lists): &&Probe| lists.iter().any(|list| list.contains(&program));
    PROBES.iter().find(has).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls;
    use crate::flows::Tables;
    use std::cell::RefCell;
    use weir_kernel::Opened;

    /// The objects know best what is in them.
    #[test]
    fn each_program_of_each_object_has_its_probe() {
        let objects = [
            ("flows", flows::object(false, Tables::ByAddress)),
            ("flows", flows::object(false, Tables::ByKey)),
            ("flows", flows::object(true, Tables::ByAddress)),
            ("flows", flows::object(true, Tables::ByKey)),
            ("sockets", sockets::OBJECT),
            ("processes", processes::OBJECT),
            ("dns", dns::OBJECT),
            ("hellos", hellos::OBJECT),
            ("tcp", tcp::OBJECT),
            ("drops", drops::OBJECT),
            ("retransmits", retransmits::OBJECT),
            ("calls", calls::OBJECT),
            ("holders", holders::OBJECT),
        ];
        for (name, lists) in PROBES {
            for (_, object) in objects.iter().filter(|(of, _)| *of == name) {
                let mut listed = lists.concat();
                listed.sort_unstable();
                let found = RefCell::new(Vec::new());
                let note = |program: &str| {
                    found.borrow_mut().push(program.to_owned());
                    true
                };
                Opened::new(name, object).expect("it is well formed").only_programs(note);
                let mut found = found.into_inner();
                found.sort_unstable();
                assert_eq!(found, listed, "{name}");
                assert!(found.iter().all(|program| probe_of(program) == Some(name)), "{name}");
            }
        }
        assert_eq!(probe_of("cil_from_netdev"), None);
    }
}
