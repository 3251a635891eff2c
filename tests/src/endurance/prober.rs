//! Programs in hostlets that try, all the time, what they must not be able to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, ensure};
use hostlet_testkit::agent::Agent;

/// What is tried: the address is another's, and stays so.
const TRIES: &[(&str, &str)] = &[
    ("a = socket tcp4", "ok"),
    ("bind a 10.0.0.1:0", "EADDRNOTAVAIL"),
    ("opt a freebind 1", "ok"),
    ("bind a 10.0.0.9:0", "EADDRNOTAVAIL"),
    ("a = socket udp4", "ok"),
    ("bind a 10.0.0.1:0", "EADDRNOTAVAIL"),
    ("a = socket tcp6", "ok"),
    ("bind a [::ffff:10.0.0.1]:0", "EADDRNOTAVAIL"),
    ("bind a [2001:db8::1]:0", "EADDRNOTAVAIL"),
    ("a = socket udp6", "ok"),
    ("bind a [2001:db8::9]:0", "EADDRNOTAVAIL"),
];

/// A prober; it tries until it is ended.
pub(super) struct Prober {
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Prober {
    /// `own` is an address that it always has.
    pub(super) fn start(mut agent: Agent, own: Option<&str>) -> Prober {
        let stop = Arc::new(AtomicBool::new(false));
        let tried = Arc::new(AtomicU64::new(0));
        let (told, counted) = (stop.clone(), tried.clone());
        let own = own.map(|own| format!("bind a {own}:0"));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                for (line, wanted) in TRIES {
                    let got = agent.ask(line)?;
                    ensure!(got == *wanted, "`{line}`: {got}, not {wanted}");
                }
                if let Some(own) = &own {
                    agent.ask("a = socket tcp4")?;
                    let got = agent.ask(own)?;
                    ensure!(got == "ok", "`{own}`: {got}");
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
            agent.finish().map(drop)
        });
        Prober {
            stop,
            tried,
            thread,
        }
    }

    /// Still well?
    pub(super) fn runs(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends it, and gives how many rounds it tried.
    pub(super) fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let done = self.thread.join();
        done.map_err(|_| anyhow::anyhow!("a prober panicked"))??;
        Ok(self.tried.load(Ordering::Relaxed))
    }
}
