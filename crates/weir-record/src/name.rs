//! What an address is called, and where it is.

/// A name of an address, from the best source that knows one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    /// The name, without anything in it that is not printable.
    pub text: String,
    /// Where it comes from.
    pub origin: NameOrigin,
}

/// Where a name comes from. The first one that knows a name gives it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameOrigin {
    /// An answer that a socket of this host received: the name that was asked for.
    #[default]
    Dns,
    /// The Kubernetes cluster: the service, pod or node that has the address.
    Kubernetes,
    /// The hosts file.
    Hosts,
    /// The server that is responsible for the address, asked by Weir.
    ReverseDns,
}

impl NameOrigin {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Dns, Self::Kubernetes, Self::Hosts, Self::ReverseDns];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Kubernetes => "kubernetes",
            Self::Hosts => "hosts",
            Self::ReverseDns => "reverse_dns",
        }
    }
}

/// Where an address is, and whose, as databases have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 code of the country.
    pub country: Option<String>,
    /// English name of the city.
    pub city: Option<String>,
    /// Number of the autonomous system.
    pub as_number: Option<u32>,
    /// Who runs that.
    pub as_organization: Option<String>,
}
