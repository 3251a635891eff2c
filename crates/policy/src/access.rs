//! Who may do what (row A14).

use hostlet_model::config::Who;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub uid: u32,
    /// The user's name; the number if it has none.
    pub user: String,
    /// The names, and the ids as text, of all groups of the user.
    pub groups: Vec<String>,
    /// The systemd units that the asking process is in, such as `web.service`; empty where nobody looked.
    pub units: Vec<String>,
}

/// May this caller do what the list allows? Root always may; an empty list allows nobody else. A number in a rule is an id.
pub fn may(caller: &Caller, who: &[Who]) -> bool {
    caller.uid == 0
        || who.iter().any(|w| match w {
            Who::User(u) => *u == caller.user || *u == caller.uid.to_string(),
            Who::Group(g) => caller.groups.contains(g),
            Who::Unit(u) => caller.units.contains(u),
        })
}
