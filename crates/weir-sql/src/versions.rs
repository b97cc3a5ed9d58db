//! Segments of older versions of the schema, as they mean today: see [`SchemaVersion`].

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use std::sync::Arc;
use weir_store::{SchemaVersion, Table};

/// What is asked of a table, as it has to be asked of each of its files.
#[derive(Debug)]
pub(crate) struct Versions(pub &'static Table);

impl PhysicalExprAdapterFactory for Versions {
    fn create(&self, asked: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let version = SchemaVersion::of(&file)
            .ok_or_else(|| DataFusionError::Internal("a segment without a version".into()))?;
        let usual = DefaultPhysicalExprAdapterFactory.create(asked, file)?;
        Ok(match version {
            SchemaVersion::TODAY => usual,
            version => Arc::new(Older { version, table: self.0, usual }),
        })
    }
}

/// Of a file of an older version.
#[derive(Debug)]
struct Older {
    version: SchemaVersion,
    table: &'static Table,
    /// Sees to columns that are not there.
    usual: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for Older {
    fn rewrite(&self, asked: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let updated = |part: Arc<dyn PhysicalExpr>| {
            let column = part.downcast_ref::<Column>();
            let by = column.and_then(|column| self.version.divisor(self.table, column.name()));
            Ok(match by {
                Some(by) => Transformed::yes(Arc::new(BinaryExpr::new(part, Operator::Divide, lit(by))) as _),
                None => Transformed::no(part),
            })
        };
        self.usual.rewrite(asked)?.transform_up(updated).data()
    }
}
