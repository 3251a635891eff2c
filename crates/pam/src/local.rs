//! What the rules say when hostletd cannot.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostlet_model::Paths;
use hostlet_model::config::{Config, Per, Sessions, Unavailable};
use hostlet_platform::account;
use hostlet_policy::Caller;
use hostlet_policy::rules::{Occasion, decide};
use hostlet_wire::Login;
use rustix::fs::{Mode, OFlags, open};

/// The longest configuration that is read, in bytes.
const LONGEST: u64 = 16 * 1024 * 1024;

/// What becomes of a login without hostletd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    /// It goes on with the machine's address: why, for the log.
    Machine(String),
    /// It is refused: why, for the log.
    Refuse(String),
}

/// The configuration that is in force, as far as that is known without hostletd; read when it is needed.
#[derive(Debug)]
pub(crate) struct Local {
    /// What hostletd took over last, and what the administrator wrote.
    files: [PathBuf; 2],
    read: OnceCell<Found>,
}

#[derive(Debug)]
enum Found {
    Config(Box<Config>),
    /// There is no file.
    Nothing,
    /// hostletd never took one over, and the one that is there is broken.
    NeverInForce(String),
    /// One was in force, and cannot be read any more.
    Lost(String),
}

impl Local {
    pub(crate) fn new(paths: &Paths) -> Self {
        Self {
            files: [
                paths.db.with_file_name("hostletd.toml"),
                paths.config.clone(),
            ],
            read: OnceCell::new(),
        }
    }

    /// The longest that a login may wait.
    pub(crate) fn deadline(&self) -> Duration {
        match self.read() {
            Found::Config(config) => config.sessions.deadline,
            _ => Sessions::DEADLINE,
        }
    }

    /// What the rules say of a login for which hostletd gives no hostlet.
    pub(crate) fn decide(&self, login: &Login) -> Alone {
        let config = match self.read() {
            Found::Config(config) => config,
            Found::Nothing => return Alone::Machine("there is no configuration".to_owned()),
            Found::NeverInForce(why) => {
                return Alone::Machine(format!("no rule was ever in force: {why}"));
            }
            Found::Lost(why) => {
                return Alone::Refuse(format!("the rules cannot be read: {why}"));
            }
        };
        if config.rules.is_empty() {
            return Alone::Machine("there are no rules".to_owned());
        }
        let Some(account) = account::by_name(&login.user) else {
            return Alone::Refuse(format!(
                "the user database does not know {}, or cannot be asked",
                login.user
            ));
        };
        let caller = Caller {
            uid: account.uid,
            user: account.name,
            groups: account.groups,
            units: Vec::new(),
        };
        let occasion = Occasion::Login {
            service: &login.service,
        };
        let decided = decide(&config.rules, &caller, &occasion);
        let Some(rule) = decided.rule else {
            return Alone::Machine("no rule is about this login".to_owned());
        };
        match rule.unavailable {
            _ if rule.per == Per::None => Alone::Machine(format!("rule {} says so", rule.name)),
            Unavailable::FallBack => Alone::Machine(format!("rule {} falls back", rule.name)),
            Unavailable::Strict => Alone::Refuse(format!("rule {} is strict", rule.name)),
            // A hostlet that has only a loopback is hostletd's to make as well.
            Unavailable::CutOff => Alone::Refuse(format!(
                "rule {} cuts off, which takes hostletd as well",
                rule.name
            )),
        }
    }

    fn read(&self) -> &Found {
        self.read.get_or_init(|| {
            let [last, written] = &self.files;
            let was_in_force = match config(last) {
                Ok(Some(config)) => return Found::Config(config),
                Ok(None) => None,
                Err(wrong) => Some(wrong),
            };
            match (config(written), was_in_force) {
                (Ok(Some(config)), _) => Found::Config(config),
                (Ok(None), None) => Found::Nothing,
                (Ok(None), Some(wrong)) => Found::Lost(wrong),
                (Err(wrong), None) => Found::NeverInForce(wrong),
                (Err(also), Some(wrong)) => Found::Lost(format!("{wrong}; {also}")),
            }
        })
    }
}

/// The configuration in a file; none if there is no such file.
fn config(path: &Path) -> Result<Option<Box<Config>>, String> {
    let text = match text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    let read = Config::parse(&text, &path.display().to_string());
    read.map(|config| Some(Box::new(config)))
        .map_err(|error| error.to_string())
}

fn text(path: &Path) -> io::Result<String> {
    // Nothing that stands in its place, a pipe say, may hold up a login.
    let file = open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!(
            "it is longer than {LONGEST} bytes"
        )));
    }
    Ok(text)
}
