//! What ClickHouse has of flows, asked as a history is.

use super::answer::Answer;
use super::question::Asked;
use super::{Place, complaint, schema};
use crate::client::{Address, Client};
use crate::target::asked;
use arrow_schema::SchemaRef;
use std::io::{self, Read};
use std::str::FromStr;
use weir_record::{Kind, Value};
use weir_store::{FlowReader, Question, value};

/// As much of a complaint as is of use.
const LARGEST: u64 = 1 << 16;

/// Where records were sent to, and whose are meant.
#[derive(Debug, Clone)]
pub struct Source {
    address: Address,
    place: Place,
    hosts: Vec<String>,
    shown: String,
}

impl Source {
    /// Whether this is a URL of one.
    pub fn is_meant(text: &str) -> bool {
        ["clickhouse://", "clickhouse+tls://"].iter().any(|scheme| text.starts_with(scheme))
    }

    /// Connects, and looks what is there.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn open(&self) -> io::Result<History> {
        let mut client = Client::new(self.address.clone());
        client.connect()?;
        let table = format!("{}.{}", schema::quoted(&self.place.database), schema::TABLE);
        let columns =
            answer(&client, format!("SELECT * FROM {table} LIMIT 0 {}", super::question::SETTINGS))?;
        let columns = FlowReader::new(columns, Question::default()).columns();
        let columns = columns.map_err(|error| io::Error::other(error.to_string()))?;
        let asked = Asked { table: &table, columns: &columns, hosts: &self.hosts };
        let times = ask_times(&client, &asked)?;
        Ok(History { client, table, columns, hosts: self.hosts.clone(), times })
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, place, hosts) = asked(text)?;
        let shown = text.split('?').next().unwrap_or_default().to_owned();
        Ok(Self { address, place, hosts, shown })
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.shown)
    }
}

/// The flows that are there.
pub struct History {
    client: Client,
    table: String,
    columns: SchemaRef,
    hosts: Vec<String>,
    times: Option<(u64, u64)>,
}

impl History {
    /// When the first one ended, and the last one, when it was opened.
    pub fn times(&self) -> Option<(u64, u64)> {
        self.times
    }

    /// What matches, batch by batch; an error is the end of it.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn scan(&self, question: Question) -> io::Result<FlowReader<Answer>> {
        let answer = answer(&self.client, self.asked().rows(&question))?;
        Ok(FlowReader::new(answer, question))
    }

    fn asked(&self) -> Asked<'_> {
        Asked { table: &self.table, columns: &self.columns, hosts: &self.hosts }
    }
}

/// When the first one ended, and the last one.
fn ask_times(client: &Client, asked: &Asked<'_>) -> io::Result<Option<(u64, u64)>> {
    let question = Question { columns: Some(vec!["start", "end"]), ..Question::default() };
    let mut rows = FlowReader::new(answer(client, asked.times())?, question);
    let Some(batch) = rows.next() else { return Ok(None) };
    let batch = batch.map_err(|error| io::Error::other(error.to_string()))?;
    let time = |name| match value(batch.column_by_name(name)?, Kind::Time, 0) {
        Value::Time(time) => Some(time),
        _ => None,
    };
    Ok(time("start").zip(time("end")))
}

/// Asks, and gives what comes.
fn answer(client: &Client, sql: String) -> io::Result<Answer> {
    let ask = client.asking(sql)?;
    let about = client.about();
    Answer::new(about.clone(), move || {
        let (status, mut answer) = ask()?;
        if status.is_success() {
            return Ok(answer);
        }
        let mut page = Vec::new();
        let _ = answer.by_ref().take(LARGEST).read_to_end(&mut page);
        Err(io::Error::other(format!("{about}: {}", complaint(status, &page))))
    })
}
