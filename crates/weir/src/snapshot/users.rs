//! Names of users.

use nix::unistd::{Uid, User};
use std::collections::HashMap;
use weir_record::printable;

/// Each is asked for once.
#[derive(Default)]
pub struct Users(HashMap<u32, String>);

impl Users {
    /// Their name, or number where they have none.
    pub fn name(&mut self, id: u32) -> String {
        let find = || {
            let user = User::from_uid(Uid::from_raw(id)).ok().flatten();
            user.map_or_else(|| id.to_string(), |user| printable(&user.name))
        };
        self.0.entry(id).or_insert_with(find).clone()
    }
}
