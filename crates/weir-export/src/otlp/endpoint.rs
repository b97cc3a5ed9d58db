//! A server of OTLP.

use super::Service;
use crate::batch::Carrier;
use crate::client::Address;
use crate::grpc::{self, Grpc};
use crate::http::Http;

/// Where it is, and as whom it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Over HTTP, at this URL.
    Http(Address),
    /// Over gRPC.
    Grpc(grpc::Address),
}

impl Endpoint {
    /// What brings requests of this service there.
    pub fn carrier(&self, service: &Service) -> Box<dyn Carrier> {
        match self {
            Self::Http(address) => Box::new(Http::new(address.clone())),
            Self::Grpc(address) => Box::new(Grpc::new(address.clone(), service.method)),
        }
    }
}
