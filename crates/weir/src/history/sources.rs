//! Where flows come from: the history, and the agent that writes it. Each packet once. Or a server that has those of many hosts.
//!
//! The agent is asked first. What had ended by then is waited for until it is in the history; then the history is held as
//! it is, and what has ended between the two is asked for, and passed over there: it was open at the moment of the answer.

use super::live::{self, Agent, Held};
use super::{Asker, day_and_time, directory, open, writer};
use anyhow::{Result, anyhow, bail};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use jiff::Zoned;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use weir_export::{History, Source};
use weir_record::{FIELDS, Field, FlowRecord, Id, Value};
use weir_store::{Question, Snapshot, Store, Table, flow_records, value};

/// How often it is tried to find a moment in which not too much ends.
const TRIES: usize = 3;

/// What tells a record from all others: its conversation, and when it began and ended.
const IDENTITY: [&str; 3] = ["flow_id", "start", "end"];
type Identity = (u64, u64, u64);

/// What was kept.
enum Kept {
    /// In a directory of this host.
    Here(Snapshot),
    /// By a server.
    There(Box<History>, Source),
}

/// What there is at one moment.
pub struct Sources {
    directory: PathBuf,
    history: Option<Kept>,
    /// What has ended since that moment and may be in the history already.
    later: HashSet<Identity>,
    /// The same records, in the order in which they ended.
    pub ended: Vec<FlowRecord>,
    /// What goes on, or went on then.
    pub open: Vec<FlowRecord>,
    /// Whom to ask for what comes.
    pub agent: Option<(Agent, Held)>,
    /// Whether that is the one that writes the history.
    pub is_own: bool,
    asker: Asker,
    /// Whether something could not be read.
    is_damaged: bool,
    has_stopped: bool,
    /// Why a server does not go on.
    failure: Option<String>,
}

impl Sources {
    /// Finds them.
    ///
    /// # Errors
    /// There are none, or one that was named is not there.
    pub fn open(data_dir: Option<&Path>, socket: Option<&Path>) -> Result<Self> {
        let directory = directory(data_dir);
        let mut asker = Asker::on_terminal();
        let (agents, silent) = live::agents(socket)?;
        let (writer, store) = (writer(&directory), open(&directory));
        let own = agents.iter().position(|agent| Some(agent.pid) == writer);
        // Of a directory that was named only its own agent knows more.
        let any = if data_dir.is_none() || socket.is_some() { Some(0) } else { None };
        let agent = own.or(any).and_then(|place| agents.into_iter().nth(place));
        let store = match (store, &agent) {
            (Ok(store), Some(agent)) if own.is_none() => {
                let shown = directory.display();
                asker.tell(format!(
                    "the agent, process {}, does not write to {shown}: what has ended there is not shown",
                    agent.pid
                ));
                Some(store)
            }
            (Ok(store), agent) => {
                if let Some(why) = silent.filter(|_| agent.is_none()) {
                    asker.tell(format!("{why}: what goes on is not shown"));
                }
                Some(store)
            }
            (Err(error), _) if data_dir.is_some() => return Err(error),
            (Err(error), None) => return Err(anyhow!("no agent answers, and {error}")),
            (Err(error), Some(agent)) => {
                asker.tell(format!(
                    "only what goes on is shown, by the agent, process {}: {error}",
                    agent.pid
                ));
                None
            }
        };
        let found = Self::at_one_moment(directory, store, agent, asker)?;
        Ok(Self { is_own: own.is_some(), ..found })
    }

    /// What was kept, and nothing of what goes on: no agent is asked.
    ///
    /// # Errors
    /// There is no history.
    pub fn kept(data_dir: Option<&Path>) -> Result<Self> {
        let directory = directory(data_dir);
        let store = open(&directory)?;
        Self::at_one_moment(directory, Some(store), None, Asker::on_terminal())
    }

    /// What a server has. What goes on is not there.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn there(source: &Source) -> Result<Self> {
        let history = Kept::There(Box::new(source.open()?), source.clone());
        Ok(Self { history: Some(history), ..Self::nothing(PathBuf::new(), Asker::on_terminal()) })
    }

    /// Those of one agent: the history that it writes, if it does, and itself, if it can be reached.
    ///
    /// # Errors
    /// It does not answer, or its history cannot be read.
    pub fn of_agent(data_dir: Option<&Path>, socket: Option<&Path>, mut asker: Asker) -> Result<Self> {
        let store = data_dir.map(open).transpose()?;
        if store.is_none() {
            asker.tell_missing("the agent keeps no history: what has ended is not told".into());
        }
        if socket.is_none() {
            asker.tell_missing("the agent has no control socket: what goes on is not told".into());
        }
        let agent = socket.map(|socket| live::agents(Some(socket))).transpose()?;
        let agent = agent.and_then(|(agents, _)| agents.into_iter().next());
        let directory = data_dir.unwrap_or(Path::new("")).to_path_buf();
        Ok(Self { is_own: true, ..Self::at_one_moment(directory, store, agent, asker)? })
    }

    fn at_one_moment(
        directory: PathBuf,
        store: Option<Store>,
        agent: Option<Agent>,
        mut asker: Asker,
    ) -> Result<Self> {
        let snapshot = || store.as_ref().map(|store| store.snapshot(Table::flows())).transpose();
        let Some(agent) = agent else {
            return Ok(Self { history: snapshot()?.map(Kept::Here), ..Self::nothing(directory, asker) });
        };
        for _ in 0..TRIES {
            let mut held = agent.hold(&mut asker)?;
            if store.is_some() {
                agent.settle(&mut asker)?;
            }
            let history = snapshot()?;
            // What is in the log is read when it is first asked for: now. A scan says again what is wrong with it.
            history.iter().for_each(|history| drop(history.recent()));
            let (ended, missed) = agent.ended(&mut held)?;
            if missed > 0 && history.is_some() {
                continue;
            }
            if missed > 0 {
                asker
                    .tell_missing(format!("{missed} records ended faster than the agent could tell of them"));
            }
            let later = ended.iter().map(|record| (record.flow_id, record.start, record.end)).collect();
            let open = std::mem::take(&mut held.open);
            let (history, agent) = (history.map(Kept::Here), Some((agent, held)));
            return Ok(Self { history, later, ended, open, agent, ..Self::nothing(directory, asker) });
        }
        bail!("more ends at once than the agent, process {}, can tell of: try again", agent.pid)
    }

    fn nothing(directory: PathBuf, asker: Asker) -> Self {
        Self {
            directory,
            history: None,
            later: HashSet::new(),
            ended: Vec::new(),
            open: Vec::new(),
            agent: None,
            is_own: false,
            asker,
            is_damaged: false,
            has_stopped: false,
            failure: None,
        }
    }

    /// Hands on what the history has of it, batch by batch, until `take` or the asker has had enough.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn read<E>(
        &mut self,
        question: Question,
        mut take: impl FnMut(&RecordBatch) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let Some(history) = self.history.as_ref().filter(|_| self.failure.is_none()) else { return Ok(()) };
        let mut question = question;
        if !self.later.is_empty() {
            question.columns.iter_mut().for_each(|columns| columns.extend(IDENTITY));
        }
        let is_there = matches!(history, Kept::There(..));
        for batch in history.scan(question) {
            if self.asker.has_enough() {
                self.has_stopped = true;
                break;
            }
            match batch {
                Ok(batch) => take(&without(batch, &self.later))?,
                Err(error) if is_there => {
                    (self.failure, self.has_stopped) = (Some(error.to_string()), true);
                    break;
                }
                Err(error) => {
                    self.is_damaged = true;
                    self.asker.tell(format!("{error}: what else it holds is not shown"));
                }
            }
        }
        Ok(())
    }

    /// The same, record by record. Those that make no sense are left out, and that is said.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn read_records<E>(
        &mut self,
        question: Question,
        mut take: impl FnMut(FlowRecord) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut left_out = 0;
        self.read(question, |batch| {
            flow_records(batch).try_for_each(|record| match record {
                Some(record) => take(record),
                None => {
                    left_out += 1;
                    Ok(())
                }
            })
        })?;
        if left_out > 0 {
            self.is_damaged = true;
            self.asker.tell(format!("{left_out} records make no sense: they are left out"));
        }
        Ok(())
    }

    /// Whether a server has told all that it was asked: what it has not is not known, and no answer.
    ///
    /// # Errors
    /// It has not, and why.
    pub fn intact(&self) -> io::Result<()> {
        self.failure.as_ref().map_or(Ok(()), |failure| Err(io::Error::other(failure.clone())))
    }

    /// Whether something could not be read.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Whether nothing is missing that was asked for, as far as is known.
    pub fn is_whole(&self) -> bool {
        !self.is_damaged && !self.asker.lacks_something()
    }

    /// Whether the asker has had enough before the end: what was handed on is not all.
    pub fn has_stopped(&self) -> bool {
        self.has_stopped
    }

    /// What there was to say beside the answer.
    pub fn remarks(&self) -> &[String] {
        self.asker.remarks()
    }

    /// From when to when the history is, about.
    pub fn times(&self) -> Option<(u64, u64)> {
        let history = match self.history.as_ref()? {
            Kept::Here(history) => history,
            Kept::There(history, _) => return history.times(),
        };
        let mut ends: Vec<_> =
            history.segments().iter().map(|segment| segment.name.times().into_inner()).collect();
        for batch in history.recent().unwrap_or_default() {
            let end = |row| number(&batch, field("end")?, row);
            ends.extend((0..batch.num_rows()).filter_map(end).map(|end| (end, end)));
        }
        Some((ends.iter().map(|ends| ends.0).min()?, ends.iter().map(|ends| ends.1).max()?))
    }

    /// Where the history is and how far it reaches, for people.
    pub fn extent(&self) -> String {
        let now = Zoned::now();
        let clock = |nanos| day_and_time(nanos, &now);
        let shown = match &self.history {
            Some(Kept::There(_, source)) => source.to_string(),
            _ => self.directory.display().to_string(),
        };
        match (&self.history, self.times()) {
            (Some(_), Some((first, last))) => {
                format!("the history in {shown} is from {} to {}", clock(first), clock(last))
            }
            (Some(_), None) => format!("there is nothing in {shown} yet"),
            (None, _) => "there is no history".into(),
        }
    }

    /// The tables of sums that are from before the records, which begin then, each with when it begins. Nothing where that
    /// cannot be read.
    pub fn older_sums(&self, records: u64) -> Vec<(&'static str, u64)> {
        let Some(Ok(store)) = self.directory().map(Store::open) else { return Vec::new() };
        let begins = |table| {
            let snapshot = store.snapshot(table).ok()?;
            snapshot.segments().iter().map(|segment| *segment.name.times().start()).min()
        };
        let found = Table::roll_ups().iter().filter_map(|table| Some((table, begins(table)?)));
        // The row of a minute, or an hour, has the time when that began.
        let is_older = |table: &Table, first: u64| first.saturating_add(table.span.unwrap_or(0)) <= records;
        found
            .filter(|(table, first)| is_older(table, *first))
            .map(|(table, first)| (table.name, first))
            .collect()
    }

    /// Where the history is, if there is one here.
    pub fn directory(&self) -> Option<&Path> {
        matches!(self.history, Some(Kept::Here(_))).then_some(self.directory.as_path())
    }
}

impl Kept {
    fn scan(&self, question: Question) -> Box<dyn Iterator<Item = weir_store::Result<RecordBatch>> + '_> {
        match self {
            Self::Here(history) => Box::new(history.scan(question)),
            Self::There(history, _) => match history.scan(question) {
                Ok(rows) => Box::new(rows),
                Err(error) => Box::new(std::iter::once(Err(weir_store::Error::Stream(error)))),
            },
        }
    }
}

/// The records that are none of these.
fn without(batch: RecordBatch, later: &HashSet<Identity>) -> RecordBatch {
    if later.is_empty() {
        return batch;
    }
    let fields = IDENTITY.map(field);
    let keep: BooleanArray = (0..batch.num_rows())
        .map(|row| {
            let [id, start, end] = fields.map(|field| number(&batch, field?, row));
            let identity = id.zip(start).zip(end).map(|((id, start), end)| (id, start, end));
            Some(identity.is_none_or(|identity| !later.contains(&identity)))
        })
        .collect();
    filter_record_batch(&batch, &keep).unwrap_or(batch)
}

fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

fn number(batch: &RecordBatch, field: &Field, row: usize) -> Option<u64> {
    match value(batch.column_by_name(field.name)?, field.kind, row) {
        Value::Time(number) | Value::Number(number) | Value::Id(Id(number)) => Some(number),
        Value::Text(text) => u64::from_str_radix(&text, 16).ok(),
        _ => None,
    }
}
