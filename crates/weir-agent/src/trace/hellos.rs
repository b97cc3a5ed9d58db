//! What clients say before TLS and QUIC encrypt.

use super::heard::Heard;
use super::{AT_A_TIME, Source};
use crate::Result;
use crate::hellos::{Hellos, Said};
use crate::interfaces::{Change, Inventory};
use crate::posts::{PostPlace, Posts};
use weir_record::Happening;

/// The hellos probe, on interfaces.
pub struct HelloSource {
    probe: weir_probes::hellos::Hellos,
    posts: Posts,
    hellos: Hellos,
}

impl HelloSource {
    /// Loaded; it hangs nowhere yet.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn load(place: PostPlace) -> Result<Self> {
        let (probe, hellos) = (weir_probes::hellos::Hellos::load()?, Hellos::default());
        Ok(Self { probe, posts: Posts::new("TLS", place), hellos })
    }
}

impl Source for HelloSource {
    fn probe(&self) -> &'static str {
        "hellos"
    }

    fn post(&mut self, inventory: &Inventory, change: Change) -> bool {
        let Self { probe, posts, .. } = self;
        if change == Change::Uncertain {
            posts.look_again(inventory);
        }
        posts.follow(|link_layer| probe.programs(link_layer), inventory, |_| true)
    }

    fn hear(&mut self, heard: &mut dyn FnMut(Heard)) -> Result<()> {
        let Self { probe, hellos, .. } = self;
        probe.consume(AT_A_TIME, |part, bytes| {
            if let Some(said) = hellos.hear(part, bytes) {
                heard(understood(said));
            }
        })?;
        Ok(())
    }

    fn lost(&self) -> Result<u64> {
        Ok(self.probe.lost()?)
    }

    fn remarks(&mut self) -> Vec<String> {
        self.posts.remarks().collect()
    }

    fn incomprehensible(&self) -> u64 {
        self.hellos.malformed() + self.hellos.incomplete()
    }
}

fn understood(said: Said) -> Heard {
    let Said { time, netns, connection, sni } = said;
    Heard {
        time,
        netns,
        ends: Some(connection),
        at: None,
        users: [None, None],
        happening: Happening::Sni(sni),
    }
}
