//! Who may do what (A14): the caller against the lists of the configuration.
//!
//! Root may everything. Whoever came through `sudo` is root too, except where the
//! configuration lists who may: then the list counts. Whoever came through a
//! set-uid hostlet may only what a list gives him. Who is admitted by a list runs
//! programs as the configured user, or as himself, with no options that widen this.

use hostlet_model::config::{Config, Declared, PoolSource, Who};
use hostlet_model::{AddressSpec, Name, Paths};
use hostlet_policy::{Caller, may};

use crate::caller::caller;
use crate::error::{Error, Result};

/// By what right a caller acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As root.
    Root,
    /// Because a list names him.
    Listed(Caller),
}

/// The question, with everything that the answer depends on.
pub(crate) struct Access<'a> {
    paths: &'a Paths,
    config: &'a Config,
    caller: Caller,
    set_uid: bool,
}

impl<'a> Access<'a> {
    /// For the caller of this process.
    pub fn of_caller(paths: &'a Paths, config: &'a Config) -> Self {
        let set_uid = rustix::process::getuid() != rustix::process::geteuid();
        Self {
            paths,
            config,
            caller: caller(),
            set_uid,
        }
    }

    /// May he start programs in this declared hostlet?
    pub fn start(&self, name: &Name, declared: &Declared) -> Result<Standing> {
        self.listed(name, &declared.may_start, "start", "may-start")
    }

    /// May he enter this hostlet?
    pub fn enter(&self, name: &Name) -> Result<Standing> {
        let none = Vec::new();
        let who = self
            .config
            .hostlets
            .get(name)
            .map_or(&none, |d| &d.may_enter);
        self.listed(name, who, "enter", "may-enter")
    }

    /// May he make, change or remove a hostlet of this name?
    pub fn change(&self, name: &Name) -> Result<()> {
        let none = Vec::new();
        let who = self
            .config
            .hostlets
            .get(name)
            .map_or(&none, |d| &d.may_start);
        if self.set_uid && self.caller.uid != 0 {
            return Err(Error::NotRoot {
                what: "change hostlets",
            });
        }
        self.listed(name, who, "change", "may-start").map(|_| ())
    }

    /// May he use these addresses, which may be declared for other hostlets? What a pool lends nobody takes by hand, as nobody
    /// declares it.
    pub fn addresses(&self, name: &Name, addresses: &[AddressSpec]) -> Result<()> {
        for wish in addresses {
            self.not_lent(wish)?;
        }
        let others = self
            .config
            .hostlets
            .iter()
            .filter(|(other, _)| *other != name);
        for (other, declared) in others {
            let theirs = &declared.spec.addresses;
            if addresses
                .iter()
                .any(|a| theirs.iter().any(|t| t.owned.overlaps(&a.owned)))
            {
                self.change(other)?;
            }
        }
        Ok(())
    }

    fn not_lent(&self, wish: &AddressSpec) -> Result<()> {
        let net = wish.owned.net();
        let lent = self.config.pools.values().find_map(|pool| {
            let PoolSource::Static(own) = &pool.source else {
                return None;
            };
            let first = own.ranges.overlap(net.network(), net.broadcast())?;
            Some((&pool.name, first))
        });
        match lent {
            None => Ok(()),
            Some((pool, first)) => Err(Error::OfPool {
                owned: wish.owned,
                first,
                pool: pool.clone(),
                config: self.paths.config.clone(),
            }),
        }
    }

    fn listed(
        &self,
        name: &Name,
        who: &[Who],
        what: &'static str,
        key: &'static str,
    ) -> Result<Standing> {
        if self.caller.uid == 0 || (!self.set_uid && who.is_empty()) {
            return Ok(Standing::Root);
        }
        if may(&self.caller, who) {
            return Ok(Standing::Listed(self.caller.clone()));
        }
        Err(Error::Denied {
            user: self.caller.user.clone(),
            what,
            name: name.clone(),
            key,
            config: self.paths.config.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "[hostlet.web]\naddresses = [\"10.0.0.5\"]\nmay-start = [\"user:alice\"]\n\
                    [hostlet.db]\naddresses = [\"10.0.0.6\"]\nmay-enter = [\"group:ops\"]\n";
        Config::parse(text, "hostlet.toml").unwrap()
    }

    fn with<T>(
        uid: u32,
        user: &str,
        groups: &[&str],
        set_uid: bool,
        ask: impl Fn(&Access<'_>) -> T,
    ) -> T {
        let caller = Caller {
            uid,
            user: user.to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            units: Vec::new(),
        };
        let (paths, config) = (Paths::system(), config());
        ask(&Access {
            paths: &paths,
            config: &config,
            caller,
            set_uid,
        })
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn root_may_everything() {
        with(0, "root", &[], false, |a| {
            assert!(matches!(a.enter(&name("web")), Ok(Standing::Root)));
            assert!(a.change(&name("web")).is_ok());
        });
    }

    #[test]
    fn through_sudo_lists_count_where_there_are_some() {
        with(1000, "bob", &["ops"], false, |a| {
            let declared = &a.config.hostlets[&name("web")];
            assert!(matches!(
                a.start(&name("web"), declared),
                Err(Error::Denied { .. })
            ));
            assert!(a.change(&name("web")).is_err());
            assert!(matches!(a.enter(&name("web")), Ok(Standing::Root)));
            assert!(matches!(a.enter(&name("db")), Ok(Standing::Listed(_))));
            assert!(a.change(&name("other")).is_ok());
            assert!(
                a.addresses(&name("other"), &["10.0.0.5".parse().unwrap()])
                    .is_err()
            );
            assert!(
                a.addresses(&name("other"), &["10.0.0.6".parse().unwrap()])
                    .is_ok()
            );
        });
    }

    #[test]
    fn through_set_uid_only_what_a_list_gives() {
        with(1000, "alice", &[], true, |a| {
            let declared = &a.config.hostlets[&name("web")];
            assert!(matches!(
                a.start(&name("web"), declared),
                Ok(Standing::Listed(_))
            ));
            assert!(a.enter(&name("web")).is_err());
            assert!(a.change(&name("web")).is_err());
            assert!(a.change(&name("other")).is_err());
        });
    }

    #[test]
    fn a_refusal_says_what_would_allow_it() {
        with(1000, "bob", &[], true, |a| {
            let text = a.enter(&name("db")).unwrap_err().to_string();
            assert!(text.contains("may-enter = [\"user:bob\"]"), "{text}");
        });
    }
}
