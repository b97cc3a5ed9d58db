//! ClickHouse, over its HTTP interface: a batch is an insert of columns (ArrowStream), whose answer says that it has them.
//! [`Source`] is the way back.

pub mod answer;
mod history;
mod question;
mod schema;

pub use history::{History, Source};

use crate::client::{Address, Client, Post};
use crate::host;
use crate::ids::{self, hash};
use crate::peer::{Peer, Sent, Silence};
use std::io;
use ureq::http::StatusCode;
use weir_record::{Field, FlowRecord, printable_start};
use weir_store::FlowStream;

/// Where records go, where no database is named.
pub const DATABASE: &str = "weir";
/// Fields without which records cannot be told apart.
pub const ALWAYS: [&str; 3] = ["flow_id", "start", "end"];
/// Of what it says of a mistake.
const LONGEST: usize = 300;
/// What inserts want: an answer when all is done, in the views, too, whatever a user's profile says of inserts; and columns
/// that only one side has left out.
const SETTINGS: &str = "wait_end_of_query=1&async_insert=0&insert_deduplicate=1\
                        &deduplicate_blocks_in_dependent_materialized_views=1\
                        &input_format_skip_unknown_fields=1&input_format_arrow_allow_missing_columns=1";

/// In which database, and whether that is made where it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub database: String,
    /// Whether it and its tables are made.
    pub creates: bool,
}

/// A server.
pub struct ClickHouse {
    client: Client,
    place: Place,
    stream: FlowStream,
    /// All is there that is needed.
    is_made: bool,
}

impl ClickHouse {
    /// There, of these fields, or all.
    pub fn new(address: Address, place: Place, fields: &[&'static Field]) -> Self {
        let stream = FlowStream::new(host::name().unwrap_or_default(), fields);
        Self { client: Client::new(address), place, stream, is_made: false }
    }

    fn make(&mut self) -> io::Result<()> {
        if self.is_made || !self.place.creates {
            return Ok(());
        }
        for statement in schema::statements(&self.place.database) {
            self.ask("?wait_end_of_query=1", statement.as_bytes())?;
        }
        self.is_made = true;
        Ok(())
    }

    /// The same for the same columns of the same records, in whatever order these come back from disk: an insert that is
    /// repeated does nothing.
    fn token(&self, records: &[FlowRecord]) -> String {
        format!("weir-{:016x}-{:016x}-{}", hash(&self.stream), ids::sum(records), records.len())
    }

    /// What it is asked stands in `query`, else in `body`.
    fn ask(&self, query: &str, body: &[u8]) -> io::Result<()> {
        let post = Post { query, content_type: "application/octet-stream", headers: &[], body };
        let reply = self.client.post(&post)?;
        if reply.status.is_success() {
            return Ok(());
        }
        Err(self.client.not_now(&reply, complaint(reply.status, &reply.page)))
    }
}

impl Peer for ClickHouse {
    fn connect(&mut self) -> io::Result<()> {
        self.client.connect()?;
        self.make()
    }

    /// Nothing is refused for good: what is wrong with a table can be mended, and records wait until then.
    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        let body = self.stream.write(records).map_err(io::Error::other)?;
        let table = format!("{}.{}", schema::quoted(&self.place.database), schema::TABLE);
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &format!("INSERT INTO {table} FORMAT ArrowStream"))
            .append_pair("insert_deduplication_token", &self.token(records))
            .finish();
        let sent = self.ask(&format!("?{query}&{SETTINGS}"), &body);
        // Somebody may have dropped a table.
        self.is_made &= sent.is_ok();
        sent?;
        Ok(Sent { bytes: body.len(), answer: Some("the server has it".into()), ..Sent::default() })
    }

    fn disconnect(&mut self) {
        self.client.disconnect();
    }

    fn silence(&self) -> Silence {
        Silence::None
    }
}

/// What an answer says that is none.
pub fn complaint(status: StatusCode, page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page);
    let said = printable_start(page.lines().next().unwrap_or_default().trim(), LONGEST);
    format!("it answers {status}: {said}")
}
