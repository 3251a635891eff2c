//! How results look: tables for people, JSON for programs.

mod events;
mod lent;
mod sessions;

use std::io::{self, Write};

use hostlet_engine::report::{
    AttachReport, ChangeReport, DoctorReport, ExplainReport, Finding, HolderReport, HostletReport,
    MemberReport, Reason, SocketReport,
};
use hostlet_engine::{HistoryQuery, HistoryRow};
use serde::Serialize;

pub use events::event;
pub use lent::{changes, leases, pools};
pub use sessions::{decided, sessions};

use crate::table::{Table, printable};

/// One JSON document, ending in a newline.
pub fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// One JSON document on one line.
pub fn json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// `hostlet list`.
pub fn list(out: &mut dyn Write, hostlets: &[HostletReport]) -> io::Result<()> {
    let mut table = Table::new(["NAME", "ID", "STATE", "LIFETIME", "MEMBERS", "ADDRESSES"]);
    for h in hostlets {
        table.row([
            h.name.to_string(),
            h.id.to_string(),
            h.state.to_owned(),
            h.lifetime.to_owned(),
            h.members.to_string(),
            h.addresses
                .iter()
                .map(|a| match a.missing {
                    true => format!("{}(gone)", a.address),
                    false => a.address.to_string(),
                })
                .collect::<Vec<_>>()
                .join(" "),
        ]);
    }
    table.print(
        out,
        "There is no hostlet. `hostlet help create` shows how to make one.",
    )
}

/// `hostlet show`.
pub fn show(out: &mut dyn Write, h: &HostletReport) -> io::Result<()> {
    let mut line = |what: &str, value: &str| writeln!(out, "{what:<15}{}", printable(value));
    line("name", h.name.as_str())?;
    line("id", &h.id.to_string())?;
    line("state", h.state)?;
    line("lifetime", h.lifetime)?;
    for (i, a) in h.addresses.iter().enumerate() {
        let by = if a.missing {
            ", but gone from there: see 'hostlet check'"
        } else if a.assigned {
            ", put there by hostlet"
        } else {
            ""
        };
        let what = if i == 0 { "addresses" } else { "" };
        line(
            what,
            &format!("{} on {} (/{}{by})", a.address, a.interface, a.onlink),
        )?;
    }
    if h.fallen_back {
        line(
            "addresses",
            "those of this machine: its lease was lost, and it has fallen back",
        )?;
    } else if h.state == "cut-off" {
        line(
            "addresses",
            "none: its lease was lost, and it has only its loopback",
        )?;
    }
    line(
        "loopback",
        &h.loopback
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    )?;
    // A server may have named a thousand.
    for (i, (shown, stands)) in h.further_loopback.iter().take(8).enumerate() {
        let what = if i == 0 { "further" } else { "" };
        line(what, &format!("{shown} as {stands}"))?;
    }
    if h.further_loopback.len() > 8 {
        line("", &format!("and {} more", h.further_loopback.len() - 8))?;
    }
    line("source", h.source.as_str())?;
    if !h.host_loopback.is_empty() {
        let all: Vec<_> = h.host_loopback.iter().map(ToString::to_string).collect();
        line("host loopback", &all.join(" "))?;
    }
    line("guard", if h.guard { "on" } else { "off" })?;
    line("raw sockets", if h.raw { "granted" } else { "refused" })?;
    line(
        "created",
        &format!("{} by {} ({})", h.created, h.user, h.uid),
    )?;
    if !h.program.is_empty() {
        line("for", &h.program.join(" "))?;
    }
    line("cgroup", &h.cgroup.display().to_string())?;
    for cgroup in &h.attached_cgroups {
        line("attached", &cgroup.display().to_string())?;
    }
    line("members", &h.members.to_string())
}

/// `hostlet members`.
pub fn members(out: &mut dyn Write, members: &[MemberReport]) -> io::Result<()> {
    let mut table = Table::new(["HOSTLET", "PID", "UID", "PROGRAM", "COMMAND"]);
    for m in members {
        table.row([
            m.hostlet.to_string(),
            m.pid.to_string(),
            m.uid.to_string(),
            m.comm.clone(),
            m.command.join(" "),
        ]);
    }
    table.print(out, "There are no members.")
}

/// `hostlet sockets`.
pub fn sockets(out: &mut dyn Write, sockets: &[SocketReport], kernel: bool) -> io::Result<()> {
    let mut table = Table::new(["HOSTLET", "PROTOCOL", "STATE", "LOCAL", "PEER", "PROCESSES"]);
    for s in sockets {
        let (local, remote) = if kernel {
            (&s.kernel_local, &s.kernel_remote)
        } else {
            (&s.local, &s.remote)
        };
        table.row([
            s.hostlet.to_string(),
            s.protocol.clone(),
            s.state.clone(),
            local.clone(),
            remote.clone(),
            holders(&s.processes),
        ]);
    }
    table.print(out, "There are no sockets.")
}

/// `hostlet check`.
pub fn findings(out: &mut dyn Write, findings: &[Finding]) -> io::Result<()> {
    for f in findings {
        if f.reason == Reason::AddressGone {
            writeln!(out, "{}: {}", f.hostlet, printable(&f.text))?;
            continue;
        }
        let note = if f.reason == Reason::Login {
            "note: "
        } else {
            ""
        };
        writeln!(
            out,
            "{note}{}: {} {} {} -> {} ({}): {}",
            f.hostlet,
            f.protocol,
            f.state,
            f.local,
            f.remote,
            printable(&holders(&f.processes)),
            printable(&f.text)
        )?;
    }
    let logins = findings.iter().filter(|f| f.reason == Reason::Login);
    match logins.count() {
        0 if findings.is_empty() => {
            writeln!(out, "Every socket of every member lies inside its hostlet.")
        }
        n if n == findings.len() => writeln!(
            out,
            "Every other socket of every member lies inside its hostlet."
        ),
        _ => Ok(()),
    }?;
    Ok(())
}

/// `hostlet attach`.
pub fn attached(out: &mut dyn Write, report: &AttachReport) -> io::Result<()> {
    let pids: Vec<_> = report.attached.iter().map(ToString::to_string).collect();
    if !pids.is_empty() {
        writeln!(out, "Now in {}: {}", report.name, pids.join(" "))?;
    }
    Ok(())
}

/// `hostlet explain`.
pub fn explained(out: &mut dyn Write, e: &ExplainReport) -> io::Result<()> {
    writeln!(out, "{}", e.call)?;
    writeln!(out, "  {}: {}", e.verdict, e.text)?;
    writeln!(out, "  by rule: {} (promise {})", e.rule, e.row)
}

/// `hostlet history`.
pub fn history(out: &mut dyn Write, rows: &[HistoryRow], query: &HistoryQuery) -> io::Result<()> {
    let mut table = Table::new(["ADDRESS", "HOSTLET", "FROM", "TO", "USER", "PROGRAM"]);
    for r in rows {
        table.row([
            r.address.to_string(),
            r.hostlet.to_string(),
            r.from.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            r.to.map_or_else(
                || "still".to_owned(),
                |to| to.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ),
            r.user.clone(),
            r.program.join(" "),
        ]);
    }
    let nobody = match query.address {
        _ if *query == HistoryQuery::default() => "Nobody had an address.".to_owned(),
        Some(address) => format!("The history has nobody who had {address} as was asked."),
        None => "The history has nobody who had an address as was asked.".to_owned(),
    };
    table.print(out, &nobody)
}

/// `hostlet doctor`.
pub fn doctor(out: &mut dyn Write, d: &DoctorReport) -> io::Result<()> {
    let mut table = Table::new(["OK", "FEATURE", "IT IS", "WITHOUT IT"]);
    for f in &d.features {
        let mark = match f.present {
            Some(true) => "yes",
            Some(false) if f.needed => "NO",
            Some(false) => "no",
            None => "?",
        };
        let needed = if f.needed { "needed" } else { "optional" };
        let costs = if f.present == Some(true) {
            String::new()
        } else {
            f.costs.clone()
        };
        table.row([mark.into(), f.name.clone(), needed.into(), costs]);
    }
    table.print(out, "")?;
    let l = &d.limits;
    writeln!(out)?;
    writeln!(
        out,
        "Hostlets: {} of {}. Bound sockets: {} at most.",
        l.hostlets_used, l.hostlets, l.sockets
    )?;
    writeln!(
        out,
        "Loopback addresses beside 127.0.0.1: {} of {}, {} in a hostlet at most.",
        l.further_loopbacks_used, l.further_loopbacks, l.further_loopbacks_each
    )?;
    match (d.installed, l.memory_bytes) {
        (true, Some(bytes)) => writeln!(
            out,
            "The kernel part takes {} KiB now.",
            bytes.div_ceil(1024)
        )?,
        (true, None) => writeln!(out, "The kernel part is installed.")?,
        (false, _) if l.hostlets_used > 0 => writeln!(
            out,
            "The kernel part is gone; the next command that changes something brings it back."
        )?,
        (false, _) => writeln!(
            out,
            "The kernel part is not installed; the first hostlet does that."
        )?,
    }
    if !d.usable {
        writeln!(
            out,
            "hostlet cannot work here: what is marked NO is needed."
        )?;
    }
    Ok(())
}

/// The plan of `hostlet apply`.
pub fn plan(out: &mut dyn Write, changes: &[ChangeReport]) -> io::Result<()> {
    if changes.is_empty() {
        return writeln!(
            out,
            "Every hostlet is as declared. (Pools and rules: 'hostlet reload'.)"
        );
    }
    for change in changes {
        writeln!(out, "{}", change.text)?;
        for (n, action) in change.actions.iter().enumerate() {
            // Sockets are destroyed before a revoke and after it, which is one thing to who reads.
            if !change.actions[..n].contains(action) {
                writeln!(out, "  {action}")?;
            }
        }
    }
    Ok(())
}

fn holders(processes: &[HolderReport]) -> String {
    if processes.is_empty() {
        return "-".to_owned();
    }
    processes
        .iter()
        .map(|p| format!("{}[{}]", p.comm, p.pid))
        .collect::<Vec<_>>()
        .join(" ")
}
