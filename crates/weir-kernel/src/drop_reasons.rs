//! What the kernel calls its reasons to drop a packet, by its own type information: the numbers are others in each release.

use crate::{Error, Result};
use libbpf_rs::btf::types::{FuncProto, Ptr, Typedef};
use libbpf_rs::btf::{Btf, ReferencesType};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::ptr::NonNull;

/// How many arguments the tracepoint `name` has in this kernel.
///
/// # Errors
/// There is no such tracepoint, or the kernel has no type information.
pub fn tracepoint_arguments(name: &str) -> Result<u32> {
    let missing = || Error::Unexpected(format!("this kernel has no tracepoint {name}"));
    let btf = Btf::from_vmlinux().map_err(|error| crate::error::from_libbpf(NO_TYPES, &error))?;
    let named: Typedef<'_> = btf.type_by_name(&format!("btf_trace_{name}")).ok_or_else(missing)?;
    let pointer = btf.type_by_id::<Ptr<'_>>(named.referenced_type_id()).ok_or_else(missing)?;
    let function = btf.type_by_id::<FuncProto<'_>>(pointer.referenced_type_id()).ok_or_else(missing)?;
    // The first one is the tracepoint's own.
    Ok((function.iter().count() as u32).saturating_sub(1))
}

const NO_TYPES: &str = "cannot read the kernel's type information";
/// The kernel's modules and their type information, as files.
const TYPES: &str = "/sys/kernel/btf";
const CORE: &str = "vmlinux";

/// The names of all reasons (5.17), those of modules that are loaded too (6.4), by number: `NO_SOCKET`, as the tracepoint
/// prints it; those of subsystems as they are called there.
///
/// # Errors
/// The kernel has no type information.
pub fn drop_reasons() -> Result<BTreeMap<u32, String>> {
    let core = Types::of_kernel()?;
    let mut reasons = BTreeMap::new();
    core.add_reasons(1, &mut reasons);
    for module in fs::read_dir(TYPES).into_iter().flatten().flatten() {
        let name = module.file_name();
        if let Some(name) = name.to_str().filter(|name| *name != CORE)
            && let Ok(types) = Types::of_module(name, &core)
        {
            types.add_reasons(core.count(), &mut reasons);
        }
    }
    Ok(reasons)
}

/// Whether an enumeration called so is one of reasons.
fn is_of_reasons(name: &CStr) -> bool {
    // skb_drop_reason, mac80211_drop_reason, ovs_drop_reason, qdisc_drop_reason …
    name.to_bytes().ends_with(b"_drop_reason")
}

/// As the tracepoint prints it; none for what only marks an end or a part of the numbers.
fn reason(name: &str) -> Option<&str> {
    let name = name.strip_prefix("SKB_DROP_REASON_").unwrap_or(name);
    (!name.starts_with("__") && !["MAX", "SUBSYS_MASK"].contains(&name)).then_some(name)
}

/// Type information; a module's goes on where the kernel's ends, and refers to it.
struct Types(NonNull<libbpf_sys::btf>);

impl Drop for Types {
    fn drop(&mut self) {
        // SAFETY: what libbpf has made, and nobody else has.
        unsafe { libbpf_sys::btf__free(self.0.as_ptr()) };
    }
}

impl Types {
    fn of_kernel() -> Result<Self> {
        // SAFETY: takes no pointers.
        Self::made(unsafe { libbpf_sys::btf__load_vmlinux_btf() })
    }

    /// `core` has to outlive it.
    fn of_module(name: &str, core: &Self) -> Result<Self> {
        let name = CString::new(name).map_err(|error| Error::Unexpected(error.to_string()))?;
        // SAFETY: the name ends with a zero and outlives the call; the caller keeps `core`.
        Self::made(unsafe { libbpf_sys::btf__load_module_btf(name.as_ptr(), core.0.as_ptr()) })
    }

    fn made(types: *mut libbpf_sys::btf) -> Result<Self> {
        NonNull::new(types).map(Self).ok_or_else(|| Error::kernel(NO_TYPES, io::Error::last_os_error()))
    }

    /// How many there are, those that it goes on from too.
    fn count(&self) -> u32 {
        // SAFETY: it is there as long as self is.
        unsafe { libbpf_sys::btf__type_cnt(self.0.as_ptr()) }
    }

    fn name(&self, offset: u32) -> Option<&CStr> {
        // SAFETY: it is there as long as self is; libbpf checks the offset.
        let name = unsafe { libbpf_sys::btf__name_by_offset(self.0.as_ptr(), offset) };
        // SAFETY: names end with a zero, and live as long as self.
        (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
    }

    /// Adds the members of all enumerations of reasons from type `first` on.
    fn add_reasons(&self, first: u32, reasons: &mut BTreeMap<u32, String>) {
        for id in first..self.count() {
            // SAFETY: it is there as long as self is; libbpf checks the number.
            let Some(found) = (unsafe { libbpf_sys::btf__type_by_id(self.0.as_ptr(), id).as_ref() }) else {
                continue;
            };
            // include/uapi/linux/btf.h: the kind, and the number of members.
            let (kind, members) = (found.info >> 24 & 0x1f, found.info & 0xffff);
            if kind != libbpf_sys::BTF_KIND_ENUM || !self.name(found.name_off).is_some_and(is_of_reasons) {
                continue;
            }
            // SAFETY: the members of an enumeration lie behind it; libbpf has checked that they are all there.
            let members = unsafe {
                let first = std::ptr::from_ref(found).add(1).cast::<libbpf_sys::btf_enum>();
                std::slice::from_raw_parts(first, members as usize)
            };
            for member in members {
                let name = self.name(member.name_off).and_then(|name| reason(name.to_str().ok()?));
                if let Some(name) = name {
                    reasons.insert(member.val as u32, name.to_string());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{ 3, "NO_SOCKET" }`, as the kernel prints them.
    fn printed() -> Vec<(u32, String)> {
        let places = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
        let read = |place| fs::read_to_string(format!("{place}/events/skb/kfree_skb/format"));
        let format = places.into_iter().find_map(|place| read(place).ok()).expect("tracefs is mounted");
        let list = format.split_once("__print_symbolic(REC->reason, ").expect("reasons").1;
        let pairs = list.split('{').skip(1).filter_map(|pair| pair.split_once('}'));
        let pair = |(pair, _): (&str, &str)| {
            let (number, name) = pair.split_once(',').expect("a pair");
            (number.trim().parse().expect("a number"), name.trim().trim_matches('"').to_string())
        };
        pairs.map(pair).collect()
    }

    #[test]
    fn root_reasons_are_called_as_the_kernel_prints_them() {
        let reasons = drop_reasons().expect("the kernel has type information");
        let printed = printed();
        assert!(printed.len() > 50, "{printed:?}");
        for (number, name) in printed {
            // The end of the list is printed like a reason.
            if name != "MAX" {
                assert_eq!(reasons.get(&number), Some(&name), "{number}");
            }
        }
    }

    #[test]
    fn a_tracepoint_has_its_arguments() {
        assert!((2..=4).contains(&tracepoint_arguments("kfree_skb").expect("it is there")));
        assert!(tracepoint_arguments("weir_is_not_there").is_err());
    }

    #[test]
    fn reasons_of_modules_are_read_behind_those_of_the_kernel() {
        let core = Types::of_kernel().expect("the kernel has type information");
        // SAFETY: `core` outlives what goes on from it.
        let module = Types::made(unsafe { libbpf_sys::btf__new_empty_split(core.0.as_ptr()) }).expect("made");
        let add = |name: &CStr, value: Option<i64>| {
            // SAFETY: the name ends with a zero, and both outlive the call.
            let answer = unsafe {
                match value {
                    None => libbpf_sys::btf__add_enum(module.0.as_ptr(), name.as_ptr(), 4),
                    Some(value) => libbpf_sys::btf__add_enum_value(module.0.as_ptr(), name.as_ptr(), value),
                }
            };
            assert!(answer >= 0, "{name:?}: {answer}");
        };
        add(c"ovs_drop_reason", None);
        add(c"__OVS_DROP_REASON", Some(2 << 16));
        add(c"OVS_DROP_LAST_ACTION", Some(2 << 16 | 1));
        add(c"other", None);
        add(c"OTHER", Some(9));
        let mut reasons = BTreeMap::new();
        module.add_reasons(core.count(), &mut reasons);
        assert_eq!(reasons, BTreeMap::from([(0x20001, "OVS_DROP_LAST_ACTION".to_string())]));
    }
}
