//! Questions to DNS, for who sums them by what is known of both ends.

use super::Agent;
use crate::Result;
use crate::identity::booted;
use crate::interfaces::Names;
use crate::trace::understood;
use weir_dns::Lookup;
use weir_record::{Direction, Event};

/// Is told of each question whose answer, or the lack of it, is known: with both ends as records have them, at the
/// interface that the question came by first.
pub type OnLookup = Box<dyn FnMut(&Event) + Send>;

impl Agent {
    /// Has somebody told of questions to DNS from now on.
    #[must_use]
    pub fn telling_lookups(self, on_lookup: Option<OnLookup>) -> Self {
        Self { on_lookup, ..self }
    }

    /// Takes in what is heard of processes and names.
    pub(super) fn hear_of_ends(&mut self) -> Result<()> {
        if self.on_lookup.is_none() {
            return self.identity.hear();
        }
        let mut lookups = Vec::new();
        self.identity.hear_lookups(&mut |lookup| lookups.push(lookup))?;
        self.tell_lookups(lookups)
    }

    /// Whoever asked has been told of by now.
    fn tell_lookups(&mut self, lookups: Vec<Lookup>) -> Result<()> {
        let Some(on_lookup) = self.on_lookup.as_mut().filter(|_| !lookups.is_empty()) else { return Ok(()) };
        let (booted, names) = (booted()?, Names::of(&self.inventory));
        for lookup in lookups {
            let asked = lookup.asked;
            let mut event = understood(lookup).event(&names, booted);
            let flow = &mut event.flow;
            flow.direction = if asked.is_egress { Direction::Egress } else { Direction::Ingress };
            if let Some(interface) = names.interface(asked.place.netns, asked.place.index) {
                flow.interface = interface;
            }
            self.identity.identify(flow, [None, None]);
            on_lookup(&event);
        }
        Ok(())
    }
}
