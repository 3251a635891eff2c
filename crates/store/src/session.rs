//! Login sessions, and programs that a rule gave a hostlet: so that the next hostletd knows of them what this one knew.

use hostlet_model::Name;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::change::json;
use crate::error::{Result, StoreError};
use crate::store::Store;

/// What a rule gave, and to whom (rows B1, B2, B13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its number; given by [`Store::add_session`].
    pub number: u64,
    /// What it is.
    pub kind: SessionKind,
    /// The hostlet that it is in; none: it uses the machine's addresses.
    pub hostlet: Option<Name>,
    /// Whether that hostlet was made for it, or for others that the same rule is about; otherwise it was there before.
    pub own: bool,
    /// Whether its first process has come into that hostlet.
    pub joined: bool,
    /// The rule that decided.
    pub rule: Option<Name>,
    /// Whose it is.
    pub user: String,
    /// The same as a number.
    pub uid: u32,
    /// The PAM service; of a program, its path.
    pub service: String,
    /// The terminal.
    pub tty: Option<String>,
    /// The host that it came from.
    pub remote: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Its first process.
    pub pid: u32,
    /// When that started, in clock ticks since boot.
    pub start_ticks: u64,
    /// When it was closed, with processes of it left.
    pub ended: Option<Timestamp>,
    /// Whether what is left of it has lost its addresses.
    pub cut_off: bool,
}

/// What a rule's hostlet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    /// One login.
    Session,
    /// All logins of a user.
    User,
    /// A program, and what it starts.
    Program,
}

impl Store {
    /// Writes a session down, and gives it the next number.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add_session(&self, session: Session) -> Result<Session> {
        self.change("write a session down", |tx| {
            // Not one that somebody may still have: a number is used once.
            tx.execute(
                "INSERT INTO counter (name, value) VALUES ('session', 1)
                 ON CONFLICT (name) DO UPDATE SET value = value + 1",
                [],
            )?;
            let number: i64 = tx.query_row(
                "SELECT value FROM counter WHERE name = 'session'",
                [],
                |row| row.get(0),
            )?;
            let session = Session {
                number: number.cast_unsigned(),
                ..session
            };
            tx.prepare_cached("INSERT INTO session (number, session) VALUES (?1, ?2)")?
                .execute((number, json(&session)?))?;
            Ok(session)
        })
    }

    /// Writes down what became of one; one that is gone stays so.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn change_session(&self, session: &Session) -> Result<()> {
        self.change("change a session", |tx| {
            tx.prepare_cached("UPDATE session SET session = ?2 WHERE number = ?1")?
                .execute((session.number.cast_signed(), json(session)?))?;
            Ok(())
        })
    }

    /// Forgets these; what is not there is no error.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget_sessions(&self, numbers: &[u64]) -> Result<()> {
        self.change("forget sessions", |tx| {
            let mut delete = tx.prepare_cached("DELETE FROM session WHERE number = ?1")?;
            for number in numbers {
                delete.execute([number.cast_signed()])?;
            }
            Ok(())
        })
    }

    /// Every session, by number.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sessions(&self) -> Result<Vec<Session>> {
        let all: Vec<String> = self.read("read the sessions", |conn| {
            Ok(conn
                .prepare_cached("SELECT session FROM session ORDER BY number")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?)
        })?;
        let parse = |text: &String| {
            serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
                path: self.path.clone(),
                reason: format!("a session cannot be read: {error}"),
            })
        };
        all.iter().map(parse).collect()
    }
}
