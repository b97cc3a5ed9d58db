//! The hosts file: names that this host gives to addresses by itself.

use super::LONGEST;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use weir_record::printable_start;
use weir_record::{Name, NameOrigin};

/// Addresses that are taken from it.
const MOST: usize = 65_536;

/// What the file says.
#[derive(Debug, Default)]
pub struct Hosts(HashMap<IpAddr, Arc<Name>>);

impl Hosts {
    /// Reads it as hosts(5) has it. The first name of the first line is an address's; what is no such line is left out.
    pub fn parse(text: &str) -> Self {
        let mut hosts = HashMap::new();
        for (address, name) in text.lines().filter_map(entry) {
            if hosts.len() == MOST {
                break;
            }
            let name = || Name { text: printable_start(name, LONGEST), origin: NameOrigin::Hosts };
            hosts.entry(address).or_insert_with(|| Arc::new(name()));
        }
        Self(hosts)
    }

    /// What an address is called.
    pub fn of(&self, address: IpAddr) -> Option<&Arc<Name>> {
        self.0.get(&address)
    }

    /// How many addresses have names.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn entry(line: &str) -> Option<(IpAddr, &str)> {
    let mut words = line.split('#').next()?.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_the_first_line() {
        let text = "# 192.0.2.9 comment\n127.0.0.1\tlocalhost\n192.0.2.1 db.example db # the one\n\n\
                    ::1 localhost ip6-localhost\n192.0.2.1 other\nnonsense here\n192.0.2.2\n192.0.2.3 #no\n\
                    192.0.2.4 a\x1b[2Jb\n";
        let hosts = Hosts::parse(text);
        let of =
            |address: &str| hosts.of(address.parse().expect("an address")).map(|name| name.text.as_str());
        assert_eq!(of("192.0.2.1"), Some("db.example"));
        assert_eq!((of("127.0.0.1"), of("::1")), (Some("localhost"), Some("localhost")));
        assert_eq!((of("192.0.2.9"), of("192.0.2.2"), of("192.0.2.3")), (None, None, None));
        assert_eq!(of("192.0.2.4"), Some("a\\u{1b}[2Jb"));
        assert_eq!(hosts.len(), 4);
    }
}
