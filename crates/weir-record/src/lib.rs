//! The words in which Weir speaks: what a flow record is made of, and the ledger that says
//! what became of every packet. No input or output; everything else stands on this.

mod field;
mod fields;
mod flow;
mod interface;
mod ledger;
mod protocol;

pub use field::{Field, Kind, Unit, Value, fields_page};
pub use fields::FIELDS;
pub use flow::{Addresses, Direction, FlowEndReason, FlowKey, FlowRecord};
pub use interface::{Interface, InterfaceKind};
pub use ledger::{Account, Cause, Count, Statement};
pub use protocol::protocol_name;
