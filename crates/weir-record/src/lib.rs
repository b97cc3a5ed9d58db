//! The words in which Weir speaks: what a flow record is made of, and the ledger that says
//! what became of every packet. No input or output; everything else stands on this.

pub mod cgroup;
mod community_id;
mod container;
mod conversation;
mod drops;
mod end;
mod events;
mod field;
mod fields;
mod flow;
mod health;
mod icmp;
mod initiator;
mod interface;
mod ledger;
mod moved;
mod name;
mod pace;
mod peer;
mod process;
mod protocol;
mod push;
mod read;
mod tcp;
mod text;
mod translation;
mod value;
mod workload;

pub use community_id::CommunityId;
pub use container::{ContainerDetails, PodName};
pub use conversation::{Evidence, Observation, Observations, Reverse};
pub use drops::{DropSource, Dropped};
pub use end::End;
pub use events::{
    Actor, Bind, Closed, Connect, Dns, DnsAnswer, Drops, Event, EventColumn, EventField, EventKind,
    EventPlace, Happening, Lost, Retransmit, Retransmitted, Sni, dns_type_name, events_page,
};
pub use field::{Element, Field, Kind, Unit, fields_page};
pub use fields::{DESTINATION_END, DESTINATION_TCP, FIELDS, SOURCE_END, SOURCE_TCP};
pub use flow::{Addresses, Direction, FlowEndReason, FlowKey, FlowRecord, Layer};
pub use health::{TcpFailure, TcpHealth};
pub use initiator::Initiator;
pub use interface::{Interface, InterfaceKind};
pub use ledger::{
    Account, AccountIdentity, Cause, Count, LedgerColumn, LedgerWindow, ProbeAccount, Statement,
};
pub use moved::Moved;
pub use name::{Name, NameOrigin, Place};
pub use pace::{Pace, around};
pub use peer::{PeerCondition, PeerState};
pub use process::{Container, Process, Runtime};
pub use protocol::{protocol_name, protocol_names, protocol_number, protocol_text};
pub use push::PushState;
pub use tcp::{TcpEnd, TcpState};
pub use text::{printable, printable_start};
pub use translation::Translation;
pub use value::{Id, Text, Value, set_bits};
pub use workload::{Workload, WorkloadOwner};
