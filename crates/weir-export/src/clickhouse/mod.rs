//! ClickHouse, over its HTTP interface: a batch is an insert of columns (ArrowStream), whose answer says that it has them.

mod schema;

use crate::client::{Address, Client, Post};
use crate::peer::{Peer, Sent, Silence};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use weir_record::{Field, FlowRecord};
use weir_store::FlowStream;

/// Where records go, where no database is named.
pub const DATABASE: &str = "weir";
/// Fields without which records cannot be told apart.
pub const ALWAYS: [&str; 3] = ["flow_id", "start", "end"];
/// Of what it says of a mistake.
const LONGEST: usize = 300;
/// What inserts want: an answer when all is done, in the views, too, and columns that a table does not have left out.
const SETTINGS: &str = "wait_end_of_query=1&deduplicate_blocks_in_dependent_materialized_views=1&input_format_skip_unknown_fields=1";

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
        let host = nix::unistd::gethostname().ok().map(|name| name.to_string_lossy().into_owned());
        let stream = FlowStream::new(host.unwrap_or_default(), fields);
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

    /// What it is asked stands in `query`, else in `body`.
    fn ask(&self, query: &str, body: &[u8]) -> io::Result<()> {
        let post = Post { query, content_type: "application/octet-stream", body };
        let reply = self.client.post(&post)?;
        if reply.status.is_success() {
            return Ok(());
        }
        let page = String::from_utf8_lossy(&reply.page);
        let said: String = page.lines().next().unwrap_or_default().chars().take(LONGEST).collect();
        let why = format_args!("it answers {}: {}", reply.status, said.trim());
        Err(self.client.not_now(&reply, why))
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
            .append_pair("insert_deduplication_token", &token(records))
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

/// The same for the same records, in whatever order they come back from disk: an insert that is repeated does nothing.
fn token(records: &[FlowRecord]) -> String {
    let number = |record: &FlowRecord| {
        let mut hasher = DefaultHasher::new();
        (record.flow_id, record.start, record.end).hash(&mut hasher);
        hasher.finish()
    };
    let sum = records.iter().map(number).fold(0_u64, u64::wrapping_add);
    format!("weir-{sum:016x}-{}", records.len())
}
