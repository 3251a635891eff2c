//! The verbs that read: nothing here changes anything, or waits for the lock.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostlet_model::{Lifetime, Name};
use hostlet_platform::proc::Process;
use hostlet_platform::sockdiag::Socket;
use hostlet_policy::{
    Call, Network, Proto, held_by_host, kernel_view, reachable_services, within_groups,
    without_address,
};
use hostlet_store::{Definition, HistoryQuery, HistoryRow, Store, StoreError};

use crate::error::Result;
use crate::events::holder;
use crate::gone::There;
use crate::machine::{Machine, state_of};
use crate::report::{AddressReport, ExplainReport, HostletReport, MemberReport};
use crate::{Engine, attached, observe};

impl Engine {
    /// Whether what is remembered was written by an older version, so that it cannot be read before it is brought up to date.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        // Nothing else is told from a file that is there and is opened only to read.
        matches!(
            Store::open_read_only(&self.paths.db),
            Err(StoreError::ReadOnly { .. })
        )
    }

    /// Brings what an older version remembered up to date, as every change does. Older programs cannot use it then.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn bring_up_to_date(&self) -> Result<()> {
        Store::open(&self.paths.db)?;
        Ok(())
    }

    /// All hostlets, by name, or the one of that name.
    ///
    /// # Errors
    /// The state cannot be read, or there is none of that name.
    pub fn list(&self, name: Option<&Name>) -> Result<Vec<HostletReport>> {
        let machine = self.remembering("list hostlets")?;
        let there = There::look(&machine)?;
        chosen(&machine, name)?
            .into_iter()
            .map(|d| report_of(&machine, d, &there))
            .collect()
    }

    /// One hostlet.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn show(&self, name: &Name) -> Result<HostletReport> {
        let machine = self.remembering("show a hostlet")?;
        report(&machine, machine.definition(name)?)
    }

    /// Who belongs where.
    ///
    /// # Errors
    /// There is no hostlet of that name.
    pub fn members(&self, name: Option<&Name>) -> Result<Vec<MemberReport>> {
        let machine = self.remembering("list members")?;
        let mut all = Vec::new();
        for row in chosen(&machine, name)? {
            // One that ended meanwhile is no member.
            let members = machine.members(&row.name)?;
            all.extend(
                members
                    .into_iter()
                    .filter_map(Process::read)
                    .map(|p| member(&row.name, p)),
            );
        }
        Ok(all)
    }

    /// Who had which address.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>> {
        Ok(self.remembering("read the history")?.store.history(query)?)
    }

    /// What a call in a hostlet would do.
    ///
    /// # Errors
    /// There is no hostlet of that name.
    pub fn explain(&self, name: &Name, call: &Call) -> Result<ExplainReport> {
        let machine = self.reading("explain a call")?;
        let row = machine.definition(name)?;
        let seen = observe::observe(&machine, observe::Of::some(name, []))?;
        let services = reachable_services(&row.spec, &seen);
        let view = kernel_view(row.id, &row.spec, &row.entries, &services, seen.ipv6);
        let local = observe::local()?;
        let network = Network {
            routes: &observe::routes()?,
            local: &local,
            interfaces: &seen.interfaces,
        };
        let said = hostlet_policy::explain(&view, call, &network);
        let used = said.address.map(|a| a.to_canonical());
        let gone = used.filter(|a| {
            row.entries.iter().any(|e| e.owned.contains(*a))
                && !local.iter().any(|n| n.contains(a))
                && !observe::binds_any(*a)
        });
        let said = match (*call, said.address, gone) {
            (_, _, Some(gone)) => without_address(call, gone),
            (
                Call::Bind {
                    proto: Proto::Udp,
                    port,
                    ..
                },
                Some(on),
                None,
            ) if !row.spec.fallen_back && port != 0 => {
                let four = on.to_canonical().is_ipv4();
                let such = |s: &Socket| if four { !s.v6only } else { s.ipv6 };
                held_by_host(holder(port, such), port).unwrap_or(said)
            }
            (Call::Socket { proto: Proto::Ping }, _, None) if !row.spec.fallen_back => {
                observe::ping_groups().map_or(said, |(first, last)| within_groups(first, last))
            }
            _ => said,
        };
        Ok(ExplainReport {
            hostlet: row.name,
            call: call.to_string(),
            verdict: said.verdict.to_string(),
            rule: said.rule.to_string(),
            text: said.text,
            row: said.row.to_string(),
        })
    }
}

/// The rows asked for: one that must be there, or all.
pub(crate) fn chosen(machine: &Machine<'_>, name: Option<&Name>) -> Result<Vec<Definition>> {
    match name {
        Some(name) => Ok(vec![machine.definition(name)?]),
        None => Ok(machine.store.all()?),
    }
}

/// How far a hostlet is, and what is left of a living one that lost its addresses.
fn standing(d: &Definition, boot_id: &str) -> &'static str {
    match state_of(d, boot_id) {
        "live" if d.spec.fallen_back => "fallen-back",
        "live" if d.entries.is_empty() => "cut-off",
        state => state,
    }
}

/// Everything about one hostlet.
pub(crate) fn report(machine: &Machine<'_>, d: Definition) -> Result<HostletReport> {
    report_of(machine, d, &There::look(machine)?)
}

fn report_of(machine: &Machine<'_>, d: Definition, there: &There) -> Result<HostletReport> {
    let members = machine.members(&d.name)?.len();
    let cgroup = machine.tree.path_of(d.name.as_str());
    Ok(HostletReport {
        id: d.id.0,
        state: standing(&d, &machine.boot_id),
        fallen_back: d.spec.fallen_back,
        lifetime: match d.lifetime {
            Lifetime::Run { .. } => "run",
            Lifetime::Kept => "kept",
            Lifetime::Declared => "declared",
        },
        addresses: d
            .entries
            .iter()
            .map(|e| AddressReport {
                address: e.owned,
                interface: e.interface.clone(),
                onlink: e.onlink,
                assigned: e.assigned,
                missing: there.lacks(machine, &d, e),
            })
            .collect(),
        loopback: vec![IpAddr::V4(d.id.loopback4()), IpAddr::V6(d.id.loopback6())],
        further_loopback: match &machine.kernel {
            Some(kernel) => kernel.further_loopbacks(d.id.0)?,
            None => BTreeMap::new(),
        }
        .into_iter()
        .map(|(stands, shown)| (shown, stands))
        .collect(),
        source: d.spec.source,
        host_loopback: d.spec.host_loopback,
        guard: d.spec.guard,
        raw: d.spec.raw,
        created: d.created,
        uid: d.uid,
        user: d.user,
        program: d.program,
        cgroup_id: machine.tree.open(d.name.as_str()).ok().map(|c| c.id()),
        cgroup,
        attached_cgroups: attached::all(machine.paths, &d.name)?
            .into_iter()
            .map(|c| c.dir)
            .collect(),
        members,
        name: d.name,
    })
}

fn member(hostlet: &Name, p: Process) -> MemberReport {
    MemberReport {
        hostlet: hostlet.clone(),
        pid: p.pid,
        uid: p.uid,
        comm: p.comm,
        command: p
            .cmdline
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
    }
}
