//! Where records are sent: a sink for each exporter, and the spool of each beside the history.

use super::Arguments;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use weir_agent::{Closing, Outlet, Sink};
use weir_export::{Courier, Target};
use weir_filter::Filter;
use weir_record::{FlowRecord, PeerState};
use weir_store::Spool;

/// Where spools lie in the history's directory. Who reads all that lies there, as pandas does, passes such names over.
const SPOOLS: &str = "_spool";

/// What outputs are called that export nothing.
const OWN: [&str; 5] = ["history", "json", "metrics", "none", "table"];

/// All exporters.
pub struct Exports {
    exports: Vec<Export>,
    told: Receiver<String>,
    /// What there is to say of them at the start.
    pub remarks: Vec<String>,
}

struct Export(Courier);

/// Opens what `--export` asks for; `directory` is the history's.
///
/// # Errors
/// Two are of one name, or a spool cannot be used.
pub fn open(arguments: &Arguments, directory: Option<&Path>) -> Result<Exports> {
    let (tell, told) = channel();
    let targets = &arguments.export;
    let mut directories = BTreeSet::new();
    if let Some(twice) = targets.iter().find(|target| !directories.insert(target.directory())) {
        bail!("--export: two are called {}: give one of them another name, with ?name=NAME", twice.name);
    }
    if let Some(target) = targets.iter().find(|target| OWN.contains(&target.name.as_str())) {
        bail!("--export: {} is what an output of Weir's own is called: give it another name", target.name);
    }
    let spools = directory.filter(|_| arguments.spool_bytes > 0).map(|directory| directory.join(SPOOLS));
    let mut exports = Vec::new();
    for target in targets {
        let (peer, place) = (target.peer(), spools.as_ref().map(|spools| spools.join(target.directory())));
        if peer.gather().is_some() && place.is_none() {
            bail!(
                "--export: what {} gets is collected on disk until there is enough of it: --data-dir says where, and --spool-bytes how much",
                target.name
            );
        }
        let spool = place.map(|place| Spool::open(&place, arguments.spool_bytes)).transpose()?;
        let tell = tell.clone();
        let tell = Box::new(move |line| drop(tell.send(line)));
        let courier = Courier::new(target.name.clone(), peer, target.filter.clone(), spool, tell)?;
        exports.push(Export(courier.at_most(target.rate)));
    }
    let mut remarks: Vec<_> = spools.iter().flat_map(|spools| left(spools, targets)).collect();
    if spools.is_none() && !targets.is_empty() {
        remarks.push("no spool: what an exporter's peer does not take at once is lost to it; --data-dir says where one may be".into());
    }
    Ok(Exports { exports, told, remarks })
}

/// What waits for somebody to whom nothing is exported any more.
fn left(spools: &Path, targets: &[Target]) -> Vec<String> {
    let known: BTreeSet<_> = targets.iter().map(Target::directory).collect();
    let there = fs::read_dir(spools).into_iter().flatten().flatten();
    let left = there.filter(|one| !known.contains(&*one.file_name().to_string_lossy()));
    let records = |path: &Path| Spool::open(path, 0).map_or(0, |spool| spool.records());
    left.filter_map(|one| {
        let records = Some(records(&one.path())).filter(|records| *records > 0)?;
        let path = one.path();
        Some(format!(
            "{records} records wait in {} for an exporter that there is no more: --export with its name sends them, or remove that directory",
            path.display()
        ))
    })
    .collect()
}

impl Exports {
    /// Each as a sink beside those that there are, and lines that they have to say later.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn beside(self, printed: Option<Outlet>) -> Result<(Option<Outlet>, Receiver<String>)> {
        let mut exports = self.exports.into_iter();
        let outlet = exports.try_fold(printed, |outlet, export| Outlet::with(outlet, export).map(Some))?;
        Ok((outlet, self.told))
    }
}

impl Sink for Export {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn peer(&self) -> Option<Arc<Mutex<PeerState>>> {
        Some(self.0.state())
    }

    fn is_behind(&self) -> bool {
        self.0.is_behind()
    }

    fn filter(&self) -> Option<Filter> {
        self.0.filter().cloned()
    }

    fn go_on(&mut self) {
        self.0.go_on();
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        self.0.write(records)
    }

    fn settle(&mut self) -> io::Result<()> {
        self.0.settle()
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        self.0.finish()
    }
}
