//! What exporters have put into a store of objects, or into a directory, as tables.

use crate::patience::Patient;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::ObjectStore;
use datafusion::object_store::path::Path;
use datafusion::prelude::SessionContext;
use std::sync::Arc;
use std::time::Duration;
use weir_store::Table;

/// What the store is called here, whatever it is.
const PLACE: &str = "objects://weir";
/// How long nothing may come of a store that is asked.
const PATIENCE: Duration = Duration::from_secs(30);
/// What folders say of the files in them: the day on which records ended, in UTC, and who has seen them.
pub(crate) const FOLDERS: [(&str, DataType, &str); 2] = [
    ("day", DataType::Date32, "the day on which it ended, in UTC"),
    ("host", DataType::Utf8, "the host that has seen it"),
];

/// Where objects lie.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Objects {
    /// In this store, with names that begin so.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { store: Arc::new(Patient::new(store, PATIENCE)), prefix }
    }

    /// Says where what it names can be read.
    pub(crate) fn register(&self, context: &SessionContext) -> Result<()> {
        let place = ObjectStoreUrl::parse(PLACE)?;
        context.register_object_store(place.as_ref(), Arc::clone(&self.store));
        Ok(())
    }

    /// The tables that there are.
    pub(crate) fn tables() -> impl Iterator<Item = &'static Table> {
        Table::all().filter(|table| table.name == Table::flows().name)
    }
}

#[async_trait]
impl SchemaProvider for Objects {
    fn table_names(&self) -> Vec<String> {
        Self::tables().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = Self::tables().find(|table| table.name == name) else { return Ok(None) };
        let folder = self.prefix.clone().join(table.name);
        let place = ListingTableUrl::parse(format!("{PLACE}/{folder}/"))?;
        let folders = FOLDERS.map(|(name, kind, _)| (name.to_owned(), kind)).to_vec();
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
            .with_file_extension(".parquet")
            .with_table_partition_cols(folders);
        let config =
            ListingTableConfig::new(place).with_listing_options(options).with_schema(schema(table.schema()));
        Ok(Some(Arc::new(ListingTable::try_new(config)?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        Self::tables().any(|table| table.name == name)
    }
}

/// Texts as views, as in the history; and a column that an exporter has left out is null.
fn schema(whole: &SchemaRef) -> SchemaRef {
    let column = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View).with_nullable(true),
        _ => field.as_ref().clone().with_nullable(true),
    };
    Arc::new(Schema::new(whole.fields().iter().map(column).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Answer, Engine, Source};
    use crate::{Report, Statement};
    use datafusion::arrow::array::RecordBatch;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::object_store::local::LocalFileSystem;
    use std::fs;
    use std::io;
    use std::net::Ipv4Addr;
    use weir_record::{Addresses, Direction, FlowKey, FlowRecord, Interface, InterfaceKind};
    use weir_store::FlowFile;
    use weir_tests::folder::Folder;

    /// Midnight of 2026-11-27.
    const MIDNIGHT: u64 = 1_795_737_600_000_000_000;
    const DAY: u64 = 86_400_000_000_000;

    #[derive(Default)]
    struct Rows(Vec<RecordBatch>);

    impl Answer for Rows {
        fn begin(&mut self, _: &SchemaRef) -> io::Result<()> {
            Ok(())
        }

        fn rows(&mut self, rows: &RecordBatch) -> io::Result<()> {
            self.0.push(rows.clone());
            Ok(())
        }
    }

    fn record(number: u64, day: u64) -> FlowRecord {
        let interface = Interface {
            name: "eth0".into(),
            index: 1,
            netns: "".into(),
            own_netns: true,
            kind: InterfaceKind::Other,
        };
        let addresses = Addresses::V4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1));
        let key = FlowKey::Ip { vlan: None, addresses, protocol: 17, ports: Some((1, 2)) };
        let mut record = FlowRecord::blank(Arc::new(interface), Direction::Egress, key);
        (record.flow_id, record.bytes) = (number, number);
        (record.start, record.end) = (MIDNIGHT, MIDNIGHT + day * DAY + number);
        record
    }

    /// A file for each of two days and two hosts, the last of which has but some of the columns; after the first prefix
    /// lies something else.
    fn store(folder: &Folder) -> Engine {
        let some: Vec<_> =
            weir_record::FIELDS.iter().filter(|field| ["bytes", "end"].contains(&field.name)).collect();
        for (number, (day, host)) in [(0, "a"), (1, "a"), (0, "b"), (1, "b")].into_iter().enumerate() {
            let fields = if number == 3 { &some[..] } else { &[] };
            let records =
                [record(10_u64.pow(number as u32), day), record(2 * 10_u64.pow(number as u32), day)];
            let file = FlowFile::new(fields).write(&records.iter().collect::<Vec<_>>()).expect("a file");
            let place = folder.place().join(format!("lab/flows/day=2026-11-{}/host={host}", 27 + day));
            fs::create_dir_all(&place).expect("a folder");
            fs::write(place.join("000000-000000.1.parquet"), file).expect("a file");
        }
        fs::write(folder.place().join("lab/flows/about.txt"), "no table").expect("a file");
        let store = LocalFileSystem::new_with_prefix(folder.place()).expect("a folder");
        let objects = Objects::new(Arc::new(store), "lab".into());
        Engine::new(Source::Objects(objects), 64 << 20).expect("threads")
    }

    fn asked(engine: &Engine, text: &str) -> (String, Report) {
        let statements = Statement::all(text).expect(text);
        let mut rows = Rows::default();
        let report = engine.ask(&statements[0], &mut rows).unwrap_or_else(|error| panic!("{text}: {error}"));
        (pretty_format_batches(&rows.0).expect("rows").to_string(), report)
    }

    fn values(table: &str) -> Vec<Vec<&str>> {
        let rows = table.lines().skip(3).filter(|line| line.starts_with('|'));
        rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
    }

    #[test]
    fn folders_are_columns_and_pass_files_over() {
        let folder = Folder::new("objects");
        let engine = store(&folder);
        let (all, _) =
            asked(&engine, "select day, host, count(*), sum(bytes) from flows group by 1, 2 order by 1, 2");
        assert_eq!(
            values(&all),
            [
                ["2026-11-27", "a", "2", "3"],
                ["2026-11-27", "b", "2", "300"],
                ["2026-11-28", "a", "2", "30"],
                ["2026-11-28", "b", "2", "3000"]
            ]
        );
        let (some, report) =
            asked(&engine, "select sum(bytes) from flows where day = '2026-11-28' and host = 'a'");
        assert_eq!(values(&some), [["30"]]);
        assert!(
            report.plan.contains("day=2026-11-28/host=a") && !report.plan.contains("host=b"),
            "{}",
            report.plan
        );
        let (kept, _) = asked(
            &engine,
            "select host, count(*), count(flow_id) from flows where source_port = 1 or source_port is null group by 1 order by 1",
        );
        assert_eq!(values(&kept), [["a", "4", "4"], ["b", "4", "2"]]);
    }

    #[test]
    fn what_there_is() {
        let folder = Folder::new("objects");
        let engine = store(&folder);
        assert_eq!(values(&asked(&engine, "show tables").0), [["flows"]]);
        let (columns, _) = asked(&engine, "describe flows");
        let (whole, _) = asked(&engine, "select * from flows limit 1");
        let named: Vec<_> = values(&columns).iter().map(|row| row[0].to_owned()).collect();
        let shown = whole.lines().nth(1).expect("a head").trim_matches('|').split('|');
        assert_eq!(named, shown.map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        let statements = Statement::all("select * from dns").expect("a statement");
        assert!(engine.ask(&statements[0], &mut Rows::default()).is_err());
    }
}
