//! Where addresses are, by databases in MaxMind's format.

use super::LONGEST;
use hashbrown::HashMap;
use maxminddb::{MaxMindDbError, Reader, geoip2};
use serde::Deserialize;
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use weir_record::Place;
use weir_record::printable_start;

/// Answers that are remembered. When there are more, it begins anew: they are only a shortcut.
const REMEMBERED: usize = 16_384;

/// A database.
pub struct Map(Reader<Vec<u8>>);

impl Map {
    /// From a file's content.
    ///
    /// # Errors
    /// It is no such database.
    pub fn new(content: Vec<u8>) -> Result<Self, MaxMindDbError> {
        Reader::from_source(content).map(Self)
    }

    fn of(&self, address: IpAddr) -> Option<Entry<'_>> {
        self.0.lookup(address).ok()?.decode().ok()?
    }
}

/// What is taken from a database of cities, countries or autonomous systems.
#[derive(Deserialize)]
struct Entry<'m> {
    #[serde(borrow, default)]
    country: geoip2::city::Country<'m>,
    #[serde(default)]
    city: geoip2::city::City<'m>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'m str>,
}

/// All databases.
#[derive(Default)]
pub struct Atlas {
    maps: Vec<Option<Map>>,
    remembered: RefCell<HashMap<IpAddr, Option<Arc<Place>>>>,
}

impl Atlas {
    /// Puts a database into its place among the others.
    pub fn replace(&mut self, place: usize, map: Map) {
        self.maps.resize_with(self.maps.len().max(place + 1), || None);
        self.maps[place] = Some(map);
        self.remembered.get_mut().clear();
    }

    /// How many databases there are.
    pub fn len(&self) -> usize {
        self.maps.iter().flatten().count()
    }

    /// Where an address is. The first database that knows counts, for each thing by itself.
    pub fn of(&self, address: IpAddr) -> Option<Arc<Place>> {
        if self.maps.is_empty() {
            return None;
        }
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= REMEMBERED && !remembered.contains_key(&address) {
            remembered.clear();
        }
        remembered.entry(address).or_insert_with(|| self.look_up(address)).clone()
    }

    fn look_up(&self, address: IpAddr) -> Option<Arc<Place>> {
        let mut place = Place::default();
        let owned = |text: Option<&str>| text.map(|text| printable_start(text, LONGEST));
        for entry in self.maps.iter().flatten().filter_map(|map| map.of(address)) {
            place.country = place.country.or_else(|| owned(entry.country.iso_code));
            place.city = place.city.or_else(|| owned(entry.city.names.english));
            place.as_number = place.as_number.or(entry.autonomous_system_number);
            place.as_organization =
                place.as_organization.or_else(|| owned(entry.autonomous_system_organization));
        }
        (place != Place::default()).then(|| Arc::new(place))
    }
}
