//! The file: opening it, and one way through which every reading and every change goes.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{BUSY_SECONDS, Result, StoreError, explain};
use crate::{private, schema};

/// The state file, open.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    /// Whether changes are being made together, in one transaction.
    together: Cell<bool>,
    pub(crate) path: PathBuf,
}

/// From how many pages on the log is long, and, for those who stay, too long.
const LONG_LOG: i64 = 128;
const TOO_LONG_LOG: i64 = 1024;

/// More statements than there are.
const STATEMENTS: usize = 128;

/// Has SQLite keep a write-ahead log. Where several commands make the file at once, the switch needs
/// it alone for a moment, and SQLite gives up on that at once instead of waiting as it does elsewhere.
#[expect(
    clippy::disallowed_methods,
    reason = "SQLite has no event for a lock that becomes free"
)]
fn keep_log(conn: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(BUSY_SECONDS);
    loop {
        match conn.pragma_update(None, "journal_mode", "wal") {
            Err(rusqlite::Error::SqliteFailure(e, _))
                if e.code == ErrorCode::DatabaseBusy && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            done => return done,
        }
    }
}

impl Store {
    /// Opens the file for changes; makes it, and its directory, if absent.
    pub fn open(path: &Path) -> Result<Store> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|source| match source.kind() {
                std::io::ErrorKind::StorageFull => StoreError::Full {
                    path: path.into(),
                    doing: "make the directory",
                },
                std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                    StoreError::ReadOnly {
                        path: path.into(),
                        doing: "make the directory",
                        reason: source.to_string(),
                    }
                }
                _ => StoreError::Directory {
                    path: path.into(),
                    source,
                },
            })?;
        }
        // Where it fails, so does what follows, which says why.
        let _ = private::keep(path);
        let fail = |e| explain(path, "open the state", e);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(fail)?;
        conn.busy_timeout(Duration::from_secs(BUSY_SECONDS))
            .map_err(fail)?;
        // A foreign or newer file is refused before anything in it is changed.
        let current = schema::check(&conn, path)?;
        // From then on the file itself says so, but a copy that SQLite made of it (`VACUUM INTO`) does not.
        let mode: String = conn
            .pragma_query_value(None, "journal_mode", |r| r.get(0))
            .map_err(fail)?;
        if mode != "wal" {
            keep_log(&conn).map_err(fail)?;
        }
        // All that a command asks, once prepared.
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        conn.pragma_update(None, "synchronous", "normal")
            .map_err(fail)?;
        // The first to open the file reads the whole log: a short one keeps every command quick.
        conn.pragma_update(None, "wal_autocheckpoint", LONG_LOG)
            .map_err(fail)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)
            .map_err(fail)?;
        // Else a statement is compiled once more with each value for which another index might do.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(fail)?;
        // Closing would otherwise flush twice, which costs a short-lived command
        // milliseconds; `flush` does it where it matters.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(fail)?;
        if !current {
            schema::migrate(&conn, path)?;
        }
        if conn.is_readonly(rusqlite::MAIN_DB).map_err(fail)? {
            return Err(StoreError::ReadOnly {
                path: path.into(),
                doing: "open the state",
                reason: "no write permission".into(),
            });
        }
        Ok(Store {
            conn,
            together: Cell::new(false),
            path: path.into(),
        })
    }

    /// As [`Store::open`], for a process that stays: see [`Store::leave_log`].
    pub fn open_to_stay(path: &Path) -> Result<Store> {
        let store = Self::open(path)?;
        store.leave_log()?;
        Ok(store)
    }

    /// For whoever calls [`Store::shorten_log`] when nobody waits. Else whoever makes the change at which the log is long waits for
    /// the disk three times more than others.
    pub fn leave_log(&self) -> Result<()> {
        self.read("open the state", |conn| {
            Ok(conn.pragma_update(None, "wal_autocheckpoint", TOO_LONG_LOG)?)
        })
    }

    /// Opens the file to read; an absent one reads as empty, and none is made.
    pub fn open_read_only(path: &Path) -> Result<Store> {
        let fail = |e| explain(path, "read the state", e);
        if !path.try_exists().unwrap_or(true) {
            return Self::empty(path);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(fail)?;
        conn.busy_timeout(Duration::from_secs(BUSY_SECONDS))
            .map_err(fail)?;
        match schema::read_marks(&conn) {
            // Without a log and without the right to make one SQLite does not
            // read the file unless told that nobody changes it.
            Err(e) if needs_log(&e) && !beside(path, "-wal").exists() => {
                drop(conn);
                Self::open_immutable(path)
            }
            Err(e) => Err(fail(e)),
            // Made by a command that was killed before its first commit.
            Ok((0, 0)) => Self::empty(path),
            Ok(_) => {
                Self::check_readable(&conn, path)?;
                Ok(Store {
                    conn,
                    together: Cell::new(false),
                    path: path.into(),
                })
            }
        }
    }

    fn open_immutable(path: &Path) -> Result<Store> {
        let fail = |e| explain(path, "read the state", e);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let mut uri = String::from("file:");
        for byte in path.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                    uri.push(char::from(*byte));
                }
                _ => uri.push_str(&format!("%{byte:02x}")),
            }
        }
        uri.push_str("?immutable=1");
        let conn = Connection::open_with_flags(uri, flags).map_err(fail)?;
        if schema::read_marks(&conn).map_err(fail)? == (0, 0) {
            return Self::empty(path);
        }
        Self::check_readable(&conn, path)?;
        Ok(Store {
            conn,
            together: Cell::new(false),
            path: path.into(),
        })
    }

    fn check_readable(conn: &Connection, path: &Path) -> Result<()> {
        if schema::check(conn, path)? {
            return Ok(());
        }
        Err(StoreError::ReadOnly {
            path: path.into(),
            doing: "bring the schema up to date",
            reason: "it is older than this program and was opened only to read".into(),
        })
    }

    fn empty(path: &Path) -> Result<Store> {
        let fail = |e| explain(path, "read the state", e);
        let conn = Connection::open_in_memory().map_err(fail)?;
        schema::migrate(&conn, path)?;
        conn.pragma_update(None, "query_only", true).map_err(fail)?;
        Ok(Store {
            conn,
            together: Cell::new(false),
            path: path.into(),
        })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until all changes so far would survive a power failure.
    pub fn flush(&self) -> Result<()> {
        self.read("flush the state", |conn| {
            // The row says whether a reader was in the way; then the log stays and
            // a later flush does the rest.
            Ok(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
        })
    }

    /// Writes what the log has into the file, if it has become long. Others may change the state meanwhile.
    pub fn shorten_log(&self) -> Result<()> {
        let left = self.read("measure the state's log", |conn| {
            Ok(conn.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
                Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)
            })?)
        })?;
        if left < LONG_LOG {
            return Ok(());
        }
        self.flush()
    }

    /// Reads the whole file for damage.
    pub fn verify(&self) -> Result<()> {
        let found: Vec<String> = self.read("verify the state", |conn| {
            conn.prepare("PRAGMA quick_check")?
                .query_map([], |r| r.get(0))?
                .collect::<rusqlite::Result<_>>()
                .map_err(Failure::Sql)
        })?;
        if found == ["ok"] {
            return Ok(());
        }
        Err(StoreError::Corrupt {
            path: self.path.clone(),
            reason: found.join("; "),
        })
    }

    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        work(&self.conn).map_err(|f| self.fail(doing, f))
    }

    pub(crate) fn change<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        let fail = |e| self.fail(doing, Failure::Sql(e));
        if self.together.get() {
            return self.change_within(doing, work);
        }
        // Immediate: a transaction that first reads and then writes could
        // otherwise fail halfway because another wrote in between.
        let tx =
            Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate).map_err(fail)?;
        let done = work(&tx).map_err(|f| self.fail(doing, f))?;
        tx.commit().map_err(fail)?;
        Ok(done)
    }

    /// A change as a part of several: whole or not at all by itself.
    fn change_within<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        let fail = |e| self.fail(doing, Failure::Sql(e));
        self.conn.execute_batch("SAVEPOINT one").map_err(fail)?;
        let done = work(&self.conn).map_err(|f| self.fail(doing, f));
        let end = match done {
            Ok(_) => "RELEASE one",
            Err(_) => "ROLLBACK TO one; RELEASE one",
        };
        self.conn.execute_batch(end).map_err(fail)?;
        done
    }

    /// From now on all changes are one transaction, which costs little more than a single one, until [`Store::end_together`].
    /// Nobody else can change anything meanwhile, so nothing in between may wait.
    ///
    /// # Errors
    /// It cannot be begun.
    pub fn begin_together(&self) -> Result<()> {
        self.whole("BEGIN IMMEDIATE")?;
        self.together.set(true);
        Ok(())
    }

    /// Ends what [`Store::begin_together`] began.
    ///
    /// # Errors
    /// It cannot be brought to its end; then none of the changes was made.
    pub fn end_together(&self) -> Result<()> {
        self.together.set(false);
        let done = self.whole("COMMIT");
        if done.is_err() {
            // Where even that fails, SQLite has done it by itself.
            let _ = self.whole("ROLLBACK");
        }
        done
    }

    /// Whether a transaction is open for all that is done.
    pub(crate) fn is_together(&self) -> bool {
        self.together.get()
    }

    fn whole(&self, statement: &str) -> Result<()> {
        let fail = |e| self.fail("make several changes", Failure::Sql(e));
        self.conn.execute_batch(statement).map_err(fail)
    }

    /// As [`Store::change`], and it survives a power failure when it returns. A change that wrote nothing waits for nothing.
    pub(crate) fn change_durably<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        // SQLite takes the setting only outside a transaction.
        let set = |level: &str| {
            self.conn
                .pragma_update(None, "synchronous", level)
                .map_err(|e| self.fail(doing, Failure::Sql(e)))
        };
        set("full")?;
        let done = self.change(doing, work);
        set("normal")?;
        done
    }

    fn fail(&self, doing: &'static str, failure: Failure) -> StoreError {
        match failure {
            Failure::Sql(e) => explain(&self.path, doing, e),
            Failure::Store(e) => *e,
        }
    }
}

/// What work inside a transaction comes to.
pub(crate) type Inner<T> = std::result::Result<T, Failure>;

/// SQLite's error, or one of ours, inside a transaction.
pub(crate) enum Failure {
    Sql(rusqlite::Error),
    Store(Box<StoreError>),
}

impl From<rusqlite::Error> for Failure {
    fn from(e: rusqlite::Error) -> Failure {
        Failure::Sql(e)
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Failure {
        Failure::Store(Box::new(e))
    }
}

fn needs_log(e: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(e.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
