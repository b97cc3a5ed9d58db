//! Questions to DNS, and their answers.

use super::heard::Heard;
use weir_dns::{Data, Lookup, Outcome, Record, Reply, Transport};
use weir_record::{Dns, DnsAnswer, Happening, dns_type_name};

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
/// Characters of an answer's records that are kept.
const LONGEST: usize = 1024;

/// What is known of a question by now.
pub fn understood(lookup: Lookup) -> Heard {
    let Lookup { asked, ends, question, retries, outcome, ended } = lookup;
    let answer = match outcome {
        Outcome::Unanswered => None,
        Outcome::Answered(Reply { latency, code, is_truncated, records }) => {
            let latency = latency.map(|nanos| nanos / 1000);
            Some(DnsAnswer { code, latency, records: listed(&records), is_truncated })
        }
    };
    let (kind, class) = (question.kind, question.class);
    let dns = Dns { question: question.name.to_string(), kind, class, retries, answer };
    let protocol = match ends.transport {
        Transport::Udp => PROTOCOL_UDP,
        Transport::Tcp => PROTOCOL_TCP,
    };
    Heard {
        time: ended,
        netns: asked.place.netns,
        ends: Some((protocol, [ends.client, ends.server])),
        at: None,
        users: [None, None],
        happening: Happening::Dns(dns),
    }
}

/// With commas between. Names are printable.
fn listed(records: &[Record]) -> String {
    let mut list = String::new();
    for record in records {
        let word = match &record.data {
            Data::Address(address) => address.to_string(),
            Data::Alias(name) => name.to_string(),
            Data::Other(kind) => dns_type_name(*kind).into_owned(),
        };
        if list.len() + word.len() > LONGEST {
            list.push_str(", …");
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&word);
    }
    list
}
