//! Differences of numbers that have no sign.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_fn::cast;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// `bytes - reverse_bytes` is below zero where more came back. DataFusion keeps the columns' type, which has no sign, and
/// goes round: 18446744073709551615 for -1. Here such a difference has a sign; what does not fit is an error.
#[derive(Debug)]
pub(crate) struct Minus;

impl ExprPlanner for Minus {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_unsigned = |expr: &Expr| expr.get_type(schema).is_ok_and(|kind| kind.is_unsigned_integer());
        if expr.op != BinaryOperator::Minus || !is_unsigned(&expr.left) || !is_unsigned(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        let signed = |expr: Expr| Box::new(cast(expr, DataType::Int64));
        let difference = BinaryExpr::new(signed(expr.left), Operator::Minus, signed(expr.right));
        Ok(PlannerResult::Planned(Expr::BinaryExpr(difference)))
    }
}
