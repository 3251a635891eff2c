//! What the configuration names and the machine does not have: nothing is wrong with that, for it may come, but often it is a slip
//! of the pen.

use std::path::Path;

use hostlet_model::config::{Config, RunOptions, Who};
use hostlet_platform::account;
use hostlet_platform::launch::check;

/// A line for each such thing of the declared hostlets. Asks the user database and file systems, which may take their time.
#[must_use]
pub fn doubts_of_hostlets(config: &Config) -> Vec<String> {
    let of_one = |(name, declared): (_, &hostlet_model::config::Declared)| {
        let listed = unknown_who(&declared.may_start).chain(unknown_who(&declared.may_enter));
        let lines: Vec<String> = listed.chain(of_program(&declared.run)).collect();
        lines
            .into_iter()
            .map(move |line| format!("hostlet {name}: {line}"))
    };
    config.hostlets.iter().flat_map(of_one).collect()
}

/// A line for each of them that the user database does not know now.
pub fn unknown_who(who: &[Who]) -> impl Iterator<Item = String> {
    let number = |name: &str| name.parse::<u32>().is_ok();
    who.iter().filter_map(move |who| {
        let known = match who {
            Who::User(name) => number(name) || account::by_name(name).is_some(),
            Who::Group(name) => number(name) || account::has_group(name),
            Who::Unit(_) => true,
        };
        (!known).then(|| format!("the user database does not know {who} now"))
    })
}

/// Why `hostlet start` would refuse to start any program.
fn of_program(run: &RunOptions) -> impl Iterator<Item = String> {
    let (user, group) = (run.user.as_deref(), run.group.as_deref());
    let workdir = run.workdir.as_deref().map(Path::new);
    let each = [
        check(user, group, None, &run.keep_capabilities, &[]),
        check(None, None, workdir, &[], &[]),
    ];
    each.into_iter()
        .filter_map(|checked| Some(format!("no program starts in it now: {}", checked.err()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(options: &str) -> Vec<String> {
        let text = format!("[hostlet.web]\naddresses = [\"10.0.0.5\"]\n{options}");
        doubts_of_hostlets(&Config::parse(&text, "test.toml").unwrap())
    }

    #[test]
    fn what_is_there_is_not_doubted() {
        let known = "may-start = [\"user:root\", \"group:root\", \"user:4242\", \"unit:no-such.service\"]\n\
                     user = \"root\"\ngroup = \"root\"\nworkdir = \"/\"\n";
        assert_eq!(lines(known), Vec::<String>::new());
        assert_eq!(lines(""), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_has_a_line_each() {
        let unknown = "may-start = [\"user:no-such-user-here\"]\nmay-enter = [\"group:no-such-group-here\"]\n\
                       user = \"no-such-user-here\"\nworkdir = \"/nowhere/at/all\"\n";
        let found = lines(unknown);
        let says = [
            "hostlet web: the user database does not know user:no-such-user-here now",
            "hostlet web: the user database does not know group:no-such-group-here now",
            "hostlet web: no program starts in it now: there is no user no-such-user-here",
            "hostlet web: no program starts in it now: cannot start in /nowhere/at/all",
        ];
        assert_eq!(found.len(), says.len(), "{found:?}");
        for (line, start) in found.iter().zip(says) {
            assert!(line.starts_with(start), "{line}");
        }
    }
}
