//! Waiting until no CPU can still be inside a program that began before now.

use crate::Result;
use crate::feature::try_membarrier;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;

/// A way to wait for one RCU grace period.
///
/// BPF programs run inside an RCU read-side section, so after [`wait`](Self::wait) every
/// program that could have read the old value of a global has ended.
///
/// `membarrier(2)` (4.3) where it works; a kernel with `nohz_full` CPUs answers EINVAL, and
/// there an update of a map-in-map waits instead (`maybe_wait_bpf_programs()`, since 5.0).
#[derive(Debug)]
pub struct GracePeriod {
    by_map: Option<MapInMap>,
}

#[derive(Debug)]
struct MapInMap {
    outer: MapHandle,
    inner: MapHandle,
}

impl GracePeriod {
    /// Finds the way that works here.
    ///
    /// # Errors
    /// Neither way does.
    pub fn new() -> Result<Self> {
        let by_map = if try_membarrier().is_ok() { None } else { Some(MapInMap::new()?) };
        Ok(Self { by_map })
    }

    /// Waits; 3 to 30 ms as a rule, off the path of any packet.
    ///
    /// # Errors
    /// The kernel refuses what it allowed at [`new`](Self::new).
    pub fn wait(&self) -> Result<()> {
        match &self.by_map {
            Some(maps) => maps.update(),
            None => try_membarrier(),
        }
    }
}

impl MapInMap {
    fn new() -> Result<Self> {
        let what = "cannot create the map that stands in for membarrier(2)";
        let mut options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
            ..Default::default()
        };
        let inner = MapHandle::create(MapType::Array, Some("weir_grace_in"), 4, 4, 1, &options)
            .map_err(|e| crate::error::from_libbpf(what, &e))?;
        options.inner_map_fd = inner.as_fd().as_raw_fd() as u32;
        let outer = MapHandle::create(MapType::ArrayOfMaps, Some("weir_grace"), 4, 4, 1, &options)
            .map_err(|e| crate::error::from_libbpf(what, &e))?;
        let maps = Self { outer, inner };
        maps.update()?;
        Ok(maps)
    }

    fn update(&self) -> Result<()> {
        let inner = self.inner.as_fd().as_raw_fd().to_ne_bytes();
        self.outer
            .update(&0u32.to_ne_bytes(), &inner, MapFlags::ANY)
            .map_err(|e| crate::error::from_libbpf("cannot wait for a grace period with a map-in-map", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_both_ways_wait() {
        GracePeriod::new().expect("one way works").wait().expect("it waits");
        let by_map = GracePeriod { by_map: Some(MapInMap::new().expect("map-in-map works")) };
        by_map.wait().expect("it waits");
    }
}
