//! A BPF object on its way into the kernel.

use crate::error::from_libbpf;
use crate::window::{Shared, Words};
use crate::{Error, Pin, Pod, RUN_BY_HAND, Result};
use libbpf_rs::btf::{Btf, types::DataSec};
use libbpf_rs::{AsRawLibbpf, MapCore, MapFlags, MapHandle, MapMut, MapType, ObjectBuilder, ProgramMut};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Where the variables of a data section lie: name → offset.
type Offsets = HashMap<String, usize>;

/// What a table's section is called, before its name.
const TABLE: &str = ".data.";

/// An object that is parsed but not yet in the kernel.
#[derive(Debug)]
pub struct Opened {
    name: &'static str,
    object: libbpf_rs::OpenObject,
}

impl Opened {
    /// Parses the ELF image in `bytes`. libbpf keeps its own messages to itself.
    ///
    /// # Errors
    /// It is not a BPF object.
    pub fn new(name: &'static str, bytes: &[u8]) -> Result<Self> {
        libbpf_rs::set_print(None);
        let object = ObjectBuilder::default()
            .name(name)
            .and_then(|builder| builder.open_memory(bytes))
            .map_err(|e| from_libbpf(format!("cannot open the {name} probe"), &e))?;
        Ok(Self { name, object })
    }

    /// Gives `map` room for `entries` elements.
    ///
    /// # Errors
    /// There is no such map.
    pub fn set_entries(&mut self, map: &str, entries: u32) -> Result<()> {
        let mut found = self
            .object
            .maps_mut()
            .find(|m| m.name() == OsStr::new(map))
            .ok_or_else(|| Error::Missing(format!("map {map}")))?;
        found.set_max_entries(entries).map_err(|e| from_libbpf(format!("cannot size map {map}"), &e))
    }

    /// Gives `table` room for so many rows: a table of `weir/table.h`, which is mapped whichever way it is kept.
    ///
    /// # Errors
    /// There is no such table, or the kernel has no memory for it.
    pub fn set_rows(&mut self, table: &str, rows: u32) -> Result<()> {
        let section = format!("{TABLE}{table}");
        let Some(mut found) = self.object.maps_mut().find(|m| m.name() == OsStr::new(&section)) else {
            return self.set_entries(table, rows);
        };
        let failed = |e: &libbpf_rs::Error| from_libbpf(format!("cannot size table {table}"), e);
        let too_large = || Error::kernel(format!("cannot size table {table}"), io::ErrorKind::OutOfMemory);
        let bytes = found.value_size().checked_mul(rows).ok_or_else(too_large)?;
        // Made here and not by libbpf, which would copy what the table begins with into it, and keep all of it mapped.
        let options = map_options(libbpf_sys::BPF_F_MMAPABLE);
        let map =
            MapHandle::create(MapType::Array, Some(table), 4, bytes, 1, &options).map_err(|e| failed(&e))?;
        found.set_value_size(bytes).map_err(|e| failed(&e))?;
        found.reuse_fd(map.as_fd()).map_err(|e| failed(&e))?;
        self.set_constant(&format!("{table}_count"), rows)
    }

    /// Sets a `const volatile` global, which the verifier then knows as a constant.
    ///
    /// # Errors
    /// There is no such constant, or it is of another size.
    pub fn set_constant<T: Pod>(&mut self, constant: &str, value: T) -> Result<()> {
        let offsets = self.offsets(".rodata")?;
        let missing = || Error::Missing(format!("constant {constant}"));
        let offset = *offsets.get(constant).ok_or_else(missing)?;
        let mut section = self
            .object
            .maps_mut()
            .find(|map| map.name().to_string_lossy().ends_with(".rodata"))
            .ok_or_else(missing)?;
        let bytes = section.initial_value_mut().ok_or_else(missing)?;
        let place = bytes.get_mut(offset..offset + size_of::<T>()).ok_or_else(missing)?;
        // SAFETY: `place` has the size of T, and a Pod is all bytes.
        unsafe { place.as_mut_ptr().cast::<T>().write_unaligned(value) };
        Ok(())
    }

    /// Loads only the programs that `keep` names.
    pub fn only_programs(&mut self, keep: impl Fn(&str) -> bool) {
        for mut program in self.object.progs_mut() {
            let wanted = keep(&program.name().to_string_lossy());
            program.set_autoload(wanted);
        }
    }

    /// Creates only the maps that `keep` names: the others are those of programs that are not loaded. The
    /// compiler's own (globals and constants) stay.
    ///
    /// # Errors
    /// libbpf refuses.
    pub fn only_maps(&mut self, keep: impl Fn(&str) -> bool) -> Result<()> {
        for mut map in self.object.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            if !name.contains('.') && !keep(&name) {
                map.set_autocreate(false)
                    .map_err(|e| from_libbpf(format!("cannot leave out map {name}"), &e))?;
            }
        }
        Ok(())
    }

    /// Has an arena lie at `address` in this process (6.9).
    ///
    /// # Errors
    /// There is no such map.
    pub fn set_arena_address(&mut self, map: &str, address: u64) -> Result<()> {
        let mut found = self
            .object
            .maps_mut()
            .find(|m| m.name() == OsStr::new(map))
            .ok_or_else(|| Error::Missing(format!("map {map}")))?;
        found.set_map_extra(address).map_err(|e| from_libbpf(format!("cannot place arena {map}"), &e))
    }

    /// Has the kernel verify and take it.
    ///
    /// # Errors
    /// The kernel's refusal: a privilege, BTF or a feature is missing.
    pub fn load(self) -> Result<Loaded> {
        let offsets = self.offsets(".bss").unwrap_or_default();
        let what = format!("cannot load the {} probe", self.name);
        let object = self.object.load().map_err(|e| from_libbpf(what, &e))?;
        let globals = object.maps().find(|map| map.name().to_string_lossy().ends_with(".bss"));
        let globals = match globals {
            Some(map) => Some(Words::new(map.as_fd(), map.value_size() as usize)?),
            None => None,
        };
        Ok(Loaded { object, globals, offsets })
    }

    fn offsets(&self, section: &str) -> Result<Offsets> {
        let missing = || Error::Missing(format!("section {section}"));
        // SAFETY: the object is open for as long as self lives.
        let object = unsafe { self.object.as_libbpf_object().as_ref() };
        let btf = Btf::from_bpf_object(object).ok().flatten().ok_or_else(missing)?;
        let section: DataSec<'_> = btf.type_by_name(section).ok_or_else(missing)?;
        Ok(section
            .iter()
            .filter_map(|variable| {
                let name = btf.type_by_id::<libbpf_rs::btf::BtfType<'_>>(variable.ty)?.name()?;
                Some((name.to_string_lossy().into_owned(), variable.offset as usize))
            })
            .collect())
    }
}

/// An object that the kernel has accepted.
#[derive(Debug)]
pub struct Loaded {
    object: libbpf_rs::Object,
    globals: Option<Words>,
    offsets: Offsets,
}

impl Loaded {
    /// The descriptor of a map.
    ///
    /// # Errors
    /// There is no such map.
    pub fn map(&self, name: &str) -> Result<BorrowedFd<'_>> {
        self.find_map(name).map(|map| {
            // SAFETY: the descriptor belongs to the object, which outlives the borrow of self.
            unsafe { BorrowedFd::borrow_raw(std::os::fd::AsRawFd::as_raw_fd(&map.as_fd())) }
        })
    }

    /// The map itself, for libbpf-rs's own readers.
    pub fn find_map(&self, name: &str) -> Result<libbpf_rs::Map<'_>> {
        self.object
            .maps()
            .find(|map| is_called(map.name(), name))
            .ok_or_else(|| Error::Missing(format!("map {name}")))
    }

    /// Sets one element of a map.
    ///
    /// # Errors
    /// There is no such map, it is full, or key or value are of another size.
    pub fn update<K: Pod, V: Pod>(&mut self, name: &str, key: &K, value: &V) -> Result<()> {
        let map = self.find_map_mut(name)?;
        map.update(bytes_of(key), bytes_of(value), MapFlags::ANY)
            .map_err(|e| from_libbpf(format!("cannot write to map {name}"), &e))
    }

    /// Sets one row of a table. One of eight bytes changes at once for whoever reads it meanwhile.
    ///
    /// # Errors
    /// There is no such table, or it ends before that.
    pub fn set_row<T: Pod>(&mut self, table: &str, number: u32, row: &T) -> Result<()> {
        const { assert!(size_of::<T>().is_multiple_of(8), "rows are whole words") };
        let words = size_of::<T>() / 8;
        let first = number as usize * words;
        let shared = Shared::new(self.map(table)?, first + words)?;
        for (place, bytes) in shared[first..].iter().zip(bytes_of(row).chunks_exact(8)) {
            place.store(copied(bytes).unwrap_or_default(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes one element out of a map; one that is not there is no error.
    ///
    /// # Errors
    /// There is no such map, or the key is of another size.
    pub fn remove<K: Pod>(&mut self, name: &str, key: &K) -> Result<()> {
        match self.find_map_mut(name)?.delete(bytes_of(key)) {
            Err(error) if error.kind() != libbpf_rs::ErrorKind::NotFound => {
                Err(from_libbpf(format!("cannot delete from map {name}"), &error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a map a name in bpffs: it is there as long as that, whatever becomes of this process.
    ///
    /// # Errors
    /// There is no such map, no bpffs, or the name is taken.
    pub fn pin(&mut self, name: &str, path: &Path) -> Result<Pin> {
        let pinned = self.find_map_mut(name)?.pin(path);
        pinned.map_err(|e| from_libbpf(format!("cannot pin map {name} to {}", path.display()), &e))?;
        Ok(Pin::new(path))
    }

    fn find_map_mut(&mut self, name: &str) -> Result<MapMut<'_>> {
        self.object
            .maps_mut()
            .find(|map| is_called(map.name(), name))
            .ok_or_else(|| Error::Missing(format!("map {name}")))
    }

    /// Kernel memory that the maps take, in bytes, as far as the kernel tells (`memlock` in fdinfo).
    pub fn map_bytes(&self) -> u64 {
        self.object.maps().filter_map(|map| memory_of(map.as_fd())).sum()
    }

    /// An arena of `words` 64-bit words, which both sides may touch at any time. libbpf has mapped it.
    ///
    /// # Errors
    /// There is no such arena, or it is shorter than that.
    pub fn arena(&self, name: &str, words: usize) -> Result<&[AtomicU64]> {
        let map = self.find_map(name)?;
        let missing = || Error::Missing(format!("arena {name}"));
        let page = crate::window::page_size();
        if map.map_type() != libbpf_rs::MapType::Arena
            || map.max_entries() as usize * page < words * size_of::<u64>()
        {
            return Err(missing());
        }
        let mut size = 0; // of the globals in it, of which there are none
        // SAFETY: the map belongs to the object, which is loaded; `size` outlives the call.
        let start = unsafe { libbpf_sys::bpf_map__initial_value(map.as_libbpf_object().as_ptr(), &mut size) };
        if start.is_null() {
            return Err(missing());
        }
        // SAFETY: libbpf has mapped all pages of the arena and unmaps them with the object, which outlives the
        // borrow of self; pages are aligned, and both sides access whole words.
        Ok(unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>(), words) })
    }

    /// A program, to attach or to run.
    ///
    /// # Errors
    /// There is no such program, or it was not loaded.
    pub fn program(&self, name: &str) -> Result<ProgramMut<'_>> {
        self.object
            .progs_mut()
            .find(|program| program.name() == OsStr::new(name))
            .ok_or_else(|| Error::Missing(format!("program {name}")))
    }

    /// Runs `program` once, by hand, on an empty frame.
    ///
    /// # Errors
    /// The kernel cannot (before 4.12), or CAP_NET_ADMIN is missing.
    pub fn run(&self, program: &str) -> Result<()> {
        let mut frame = [0; 64];
        // By which the drops probe knows it.
        frame[12..14].copy_from_slice(&(RUN_BY_HAND as u16).to_be_bytes());
        let input = libbpf_rs::ProgramInput { data_in: Some(&frame), ..Default::default() };
        let found = self.program(program)?;
        found.test_run(input).map_err(|e| from_libbpf(format!("cannot run {program}"), &e))?;
        Ok(())
    }

    /// A 32-bit global that both sides may write.
    ///
    /// # Errors
    /// There is no such global.
    pub fn global_word(&self, name: &str) -> Result<&AtomicU32> {
        let (globals, offset) = self.global(name)?;
        Ok(globals.word(offset))
    }

    /// A copy of a global as it is now.
    ///
    /// # Errors
    /// There is no such global.
    pub fn global_value<T: Pod>(&self, name: &str) -> Result<T> {
        let (globals, offset) = self.global(name)?;
        Ok(globals.read(offset))
    }

    /// A copy of one element of a global array as it is now. `None`: it begins with a serial (u64) that says that it was
    /// being written.
    ///
    /// # Errors
    /// There is no such global.
    ///
    /// # Panics
    /// The globals end before that element.
    pub fn global_element<T: Pod>(&self, name: &str, number: usize) -> Result<Option<T>> {
        const { assert!(size_of::<T>() >= size_of::<u64>()) };
        let (globals, offset) = self.global(name)?;
        let offset = offset + number * size_of::<T>();
        let before: u64 = globals.read(offset);
        fence(Ordering::Acquire);
        let element = globals.read(offset);
        fence(Ordering::Acquire);
        let is_whole = before.is_multiple_of(2) && globals.read::<u64>(offset) == before;
        Ok(is_whole.then_some(element))
    }

    /// Sets `count` bytes of a global array to zero, and hands the numbers of those that were not to `visit`. One that is
    /// set meanwhile is among them, or stays set.
    ///
    /// # Errors
    /// There is no such global.
    ///
    /// # Panics
    /// The globals end before that, or it does not consist of whole words.
    pub fn take_marks(&self, name: &str, count: usize, mut visit: impl FnMut(usize)) -> Result<()> {
        let (globals, offset) = self.global(name)?;
        for first in (0..count).step_by(4) {
            let word = globals.word(offset + first);
            if word.load(Ordering::Relaxed) != 0 {
                let bytes = word.swap(0, Ordering::Acquire).to_ne_bytes();
                (0..4).filter(|byte| bytes[*byte] != 0).for_each(|byte| visit(first + byte));
            }
        }
        Ok(())
    }

    fn global(&self, name: &str) -> Result<(&Words, usize)> {
        match (&self.globals, self.offsets.get(name)) {
            (Some(globals), Some(&offset)) => Ok((globals, offset)),
            _ => Err(Error::Missing(format!("global {name}"))),
        }
    }
}

/// What a map that is made by hand is made with.
pub(crate) fn map_options(map_flags: u32) -> libbpf_sys::bpf_map_create_opts {
    libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
        map_flags,
        ..Default::default()
    }
}

/// By its own name, or as a table is, whichever way that is kept.
fn is_called(map: &OsStr, name: &str) -> bool {
    map == name || map.to_str().and_then(|map| map.strip_prefix(TABLE)) == Some(name)
}

/// Kernel memory of one map.
pub fn memory_of(map: BorrowedFd<'_>) -> Option<u64> {
    let path = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&map));
    let info = std::fs::read_to_string(path).ok()?;
    info.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok())
}

pub(crate) fn bytes_of<T: Pod>(value: &T) -> &[u8] {
    // SAFETY: a Pod is all bytes, and they live as long as the borrow.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// The value that these bytes are; none where they are more or fewer.
pub(crate) fn copied<T: Pod>(bytes: &[u8]) -> Option<T> {
    // SAFETY: of the size of T, and any bytes are a value of a Pod.
    (bytes.len() == size_of::<T>()).then(|| unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}
