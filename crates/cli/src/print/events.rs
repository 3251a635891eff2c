//! How refusals and drops look.

use std::fmt::Display;
use std::io::{self, Write};

use hostlet_engine::report::{EventLine, EventReport, LostReport};
use jiff::Timestamp;

use crate::table::printable;

/// One line of `hostlet events`.
pub fn event(out: &mut dyn Write, line: &EventLine) -> io::Result<()> {
    match line {
        EventLine::Event(event) => refused(out, event),
        EventLine::Lost(lost) => self::lost(out, lost),
    }
}

fn lost(out: &mut dyn Write, l: &LostReport) -> io::Result<()> {
    let (what, are) = if l.lost == 1 {
        ("event", "is")
    } else {
        ("events", "are")
    };
    writeln!(
        out,
        "-- {} earlier {what}, of whichever hostlets, {are} lost: what is kept goes on at {}; 'hostlet events -f' in time has all --",
        l.lost,
        time(l.until)
    )
}

fn time(at: Timestamp) -> impl Display {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
}

fn refused(out: &mut dyn Write, e: &EventReport) -> io::Result<()> {
    let target = if e.port == 0 {
        e.address.clone()
    } else {
        with_port(&e.address, e.port)
    };
    let from = e
        .other
        .as_ref()
        .map_or_else(String::new, |other| format!(" from {other}"));
    let who = if e.pid == 0 {
        "-".to_owned()
    } else {
        format!("{}[{}] uid {}", e.program, e.pid, e.uid)
    };
    let more = if e.more == 0 {
        String::new()
    } else {
        format!(" (and {} more like it)", e.more)
    };
    writeln!(
        out,
        "{} {} {} {} {} {target}{from}: {} ({}{}){more}",
        time(e.time),
        e.hostlet,
        printable(&who),
        e.call,
        e.protocol,
        e.error,
        e.reason,
        match e.reason.as_str() {
            "dual-stack" => DUAL_STACK.to_owned(),
            "accepted" => ACCEPTED.to_owned(),
            _ => e
                .holder
                .as_ref()
                .map_or_else(String::new, |holder| format!(" by {holder}")),
        }
    )
}

// The reasons that nobody finds out by himself.
const DUAL_STACK: &str = ": it was bound to :: and a port by number, for both families; bind the IPv6 address itself, set IPV6_V6ONLY, or bind port 0";
const ACCEPTED: &str =
    ": it was accepted from a listener itself, and nobody reaches it; listen on a new socket";

fn with_port(address: &str, port: u16) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}
