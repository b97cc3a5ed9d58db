//! What lies where in the kernel's code.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

const SYMBOLS: &str = "/proc/kallsyms";
/// More than any kernel has; each takes 12 bytes and its name, about 5 MB altogether.
const MOST: usize = 1 << 19;

/// All functions of the kernel and its modules, by address.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Where each begins, and where its name ends among the names.
    starts: Vec<(u64, u32)>,
    names: String,
    /// It was looked for them already.
    asked: bool,
}

impl Symbols {
    /// `icmp_rcv+0x1a4`; the address where it is not known.
    pub fn name(&mut self, address: u64) -> String {
        // Most hosts drop something sooner or later, but few at once.
        if !std::mem::replace(&mut self.asked, true)
            && let Ok(file) = File::open(SYMBOLS)
        {
            *self = Self { asked: true, ..Self::read(BufReader::new(file)) };
        }
        self.find(address).unwrap_or_else(|| format!("{address:#x}"))
    }

    /// Whether the kernel keeps addresses to itself. False until one was asked for.
    pub fn are_hidden(&self) -> bool {
        self.asked && self.starts.is_empty()
    }

    fn read(list: impl BufRead) -> Self {
        let mut found = Vec::new();
        let mut names = String::new();
        for line in list.lines().map_while(io::Result::ok) {
            if let Some((address, name)) = function(&line).filter(|_| found.len() < MOST) {
                names.push_str(name);
                found.push((address, names.len() as u32));
            }
        }
        // Modules come behind the kernel, in any order: names are brought into that of addresses.
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by_key(|place| found[*place].0);
        let (mut starts, mut sorted) = (Vec::with_capacity(found.len()), String::with_capacity(names.len()));
        for place in order {
            let begin = place.checked_sub(1).map_or(0, |before| found[before].1);
            sorted.push_str(&names[begin as usize..found[place].1 as usize]);
            starts.push((found[place].0, sorted.len() as u32));
        }
        Self { starts, names: sorted, asked: false }
    }

    fn find(&self, address: u64) -> Option<String> {
        let place = self.starts.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
        let (start, end) = self.starts[place];
        let begin = place.checked_sub(1).map_or(0, |before| self.starts[before].1);
        let name = self.names.get(begin as usize..end as usize)?;
        Some(format!("{name}+{:#x}", address - start))
    }
}

/// `ffffffff81a3c0d0 t icmp_rcv [module]`: address and name, unless it is no code, or hidden.
fn function(line: &str) -> Option<(u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok().filter(|address| *address != 0)?;
    let is_code = matches!(words.next()?, "t" | "T" | "w" | "W");
    words.next().filter(|_| is_code).map(|name| (address, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_function_that_begins_before_it() {
        let list = "ffffffff81000300 T later\nffffffff81000100 t first\nffffffff81000200 d data\nffffffff81000210 t between\t[module]\n";
        let symbols = Symbols::read(list.as_bytes());
        let find = |address| symbols.find(address);
        assert_eq!(find(0xffff_ffff_8100_00ff), None);
        assert_eq!(find(0xffff_ffff_8100_0100).as_deref(), Some("first+0x0"));
        assert_eq!(find(0xffff_ffff_8100_0209).as_deref(), Some("first+0x109"));
        assert_eq!(find(0xffff_ffff_8100_0211).as_deref(), Some("between+0x1"));
        assert_eq!(find(u64::MAX).as_deref(), Some("later+0x7efffcff"));
    }

    #[test]
    fn hidden_addresses_are_no_names() {
        let symbols = Symbols { asked: true, ..Symbols::read("0000000000000000 T first\n".as_bytes()) };
        assert!(symbols.are_hidden());
        assert_eq!({ symbols }.name(0x1234), "0x1234");
    }

    #[test]
    fn root_this_kernel_has_a_function_of_that_name() {
        let mut symbols = Symbols::default();
        let list = std::fs::read_to_string(SYMBOLS).expect("it is there");
        let line = list.lines().find(|line| line.ends_with(" T icmp_rcv") || line.ends_with(" t icmp_rcv"));
        let (address, _) = function(line.expect("the kernel knows ICMP")).expect("root sees addresses");
        assert_eq!(symbols.name(address + 4), "icmp_rcv+0x4");
    }
}
