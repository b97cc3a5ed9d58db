//! The tables of a store as one statement sees them.

use crate::history::History;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use weir_store::{Store, Table};

/// Each table is as it was when it was first named, however often it is named.
#[derive(Debug)]
pub(crate) struct Tables {
    store: Store,
    /// Segments that turned out to be damaged.
    left_out: BTreeSet<PathBuf>,
    named: Mutex<BTreeMap<&'static str, Arc<History>>>,
}

impl Tables {
    pub fn new(store: Store, left_out: BTreeSet<PathBuf>) -> Self {
        Self { store, left_out, named: Mutex::default() }
    }

    /// Those that were named.
    pub fn named(&self) -> Vec<Arc<History>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn get(&self, table: &'static Table) -> weir_store::Result<Arc<History>> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(history) = named.get(table.name) {
            return Ok(Arc::clone(history));
        }
        let snapshot = self.store.snapshot(table)?;
        let history = Arc::new(History::new(table, snapshot, &self.left_out));
        named.insert(table.name, Arc::clone(&history));
        Ok(history)
    }
}

/// The table of this name.
pub(crate) fn find(name: &str) -> Option<&'static Table> {
    Table::all().find(|table| table.name == name)
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        Table::all().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = find(name) else { return Ok(None) };
        let history = self.get(table).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Some(history))
    }

    fn table_exist(&self, name: &str) -> bool {
        find(name).is_some()
    }
}
