//! Verbs that change a hostlet.

use clap::{ArgGroup, Args};
use hostlet_model::{AddressSpec, HostLoopback, Name, Owned, SourcePolicy};
use std::net::IpAddr;
use std::path::PathBuf;

use super::read::address;

/// What a hostlet consists of.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true).multiple(true).args(["addresses", "pools"])))]
pub struct SpecArgs {
    /// An address of the set; repeat it for more. The first of a family is its primary
    ///
    /// A single address (192.0.2.10, 2001:db8::10), one with the length of its subnet
    /// (192.0.2.10/24, for --assign), a whole prefix (2001:db8:7::/64), or a link-local address with
    /// its interface (fe80::10%eth0).
    #[arg(long = "address", short = 'a', value_name = "ADDRESS")]
    pub addresses: Vec<AddressSpec>,

    /// Instead: have hostletd lend addresses out of POOL, one of each family that it has; repeatable
    ///
    /// They are on the pool's interface as long as the hostlet lives. `hostlet pools` lists the pools. Who comes again, under the same
    /// name or without one, gets the same address again where it is free.
    #[arg(long = "pool", value_name = "POOL", conflicts_with_all = ["addresses", "assign"])]
    pub pools: Vec<Name>,

    /// Of the pools, this address and no other; one for each family and pool. may-request of the configuration has to allow it
    #[arg(long = "request-address", value_name = "ADDRESS", value_parser = address, conflicts_with_all = ["addresses", "assign"])]
    pub request: Vec<IpAddr>,

    /// Put addresses that this machine does not have on IFACE, and take exactly those away at the end
    ///
    /// They are used at once: nobody is asked whether another machine on the network has them. `arping -D -c 3 -I IFACE ADDRESS`
    /// asks, and fails if one has. Addresses of pools are asked for before they are lent.
    #[arg(long, value_name = "IFACE")]
    pub assign: Option<String>,

    /// Which address an unbound socket leaves from, where the route leaves a choice
    ///
    /// primary: the first of the family. random: any. by-destination: always the same for a destination.
    #[arg(long, value_name = "POLICY", default_value = "primary")]
    pub source: SourcePolicy,

    /// Let the hostlet reach a service on the host's loopback, 127.0.0.1:5432 for instance; repeatable
    ///
    /// Loopback name servers of /etc/resolv.conf are always reachable, on port 53.
    #[arg(long, value_name = "ADDR:PORT")]
    pub host_loopback: Vec<HostLoopback>,

    /// Switch off the check of every packet (calls are still checked)
    #[arg(long)]
    pub no_guard: bool,

    /// Allow raw sockets. A program with them can forge packets inside the guard's limits
    #[arg(long)]
    pub raw: bool,
}

/// `hostlet create`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  hostlet create web --address 192.0.2.10 --address 2001:db8::10 --assign eth0
  hostlet enter web -- nginx -g 'daemon off;'
  hostlet create mail --pool office

With --json, prints the new hostlet as `hostlet show --json` does.")]
pub struct Create {
    /// The name: 1 to 63 of a-z, 0-9 and '-'
    pub name: Name,
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet remove`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A hostlet with members is left alone and the members are named, unless --kill is given. \
Addresses that hostlet put on an interface are taken away again; no others are. Without root's rights you may \
remove what hostletd made for you.

Example:
  hostlet remove web --kill")]
pub struct Remove {
    /// The hostlet
    pub name: Name,
    /// Kill the members first
    #[arg(long)]
    pub kill: bool,
}

/// `hostlet attach`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["pid", "cgroup"])))]
#[command(after_long_help = "\
With --pid the process and all its descendants move into the hostlet; what they start from then on is a \
member too. Sockets that they already have stay outside: each is listed. They also keep their \
capabilities and mounts, which `hostlet run` would have taken from them.

With --cgroup the hostlet's rules are put on an existing cgroup and all below it, a systemd unit's for \
instance. Nothing moves. Sockets made before stay outside. The processes in it are members: the rules go when the cgroup \
goes, as when its unit is stopped, or when the hostlet is removed, which has to wait until nobody is in it: \
`hostlet remove --kill` ends the service too.

Example:
  hostlet attach web --pid 4711
  hostlet attach web --cgroup /sys/fs/cgroup/system.slice/nginx.service")]
pub struct Attach {
    /// The hostlet
    pub name: Name,
    /// A process to move into the hostlet, with its descendants; repeatable
    #[arg(long, value_name = "PID", value_parser = process)]
    pub pid: Vec<u32>,
    /// An existing cgroup (a directory of the cgroup2 mount) to put the rules on
    #[arg(long, value_name = "DIR")]
    pub cgroup: Option<PathBuf>,
    /// Print what stayed outside as JSON: {"name","attached":[pid…],"outside":[socket…]}
    #[arg(long)]
    pub json: bool,
}

fn process(word: &str) -> Result<u32, &'static str> {
    let number = word.parse().ok().filter(|pid| *pid > 0);
    number.ok_or("the number of a process is wanted, such as 4711")
}

/// `hostlet grant`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Wildcard sockets of running members serve the new address at once.

Where this machine does not have the address, it is put on IFACE of --assign; without that, on the \
interface that the hostlet was made with (`create --assign`, or `assign` of its declaration), if any. \
`hostlet revoke` takes it away again.

Example:
  hostlet grant web 192.0.2.11 --assign eth0")]
pub struct Grant {
    /// The hostlet
    pub name: Name,
    /// The address or prefix to add
    pub address: AddressSpec,
    /// Put it on IFACE if this machine does not have it
    #[arg(long, value_name = "IFACE")]
    pub assign: Option<String>,
}

/// `hostlet revoke`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Every socket bound to the address is destroyed (the program sees ECONNABORTED); listeners on the \
wildcard live on and serve what is left. An address that hostlet assigned leaves its interface.

Example:
  hostlet revoke web 192.0.2.11")]
pub struct Revoke {
    /// The hostlet
    pub name: Name,
    /// The address or prefix to take away, as `hostlet show` prints it or as it was granted
    #[arg(value_parser = taken)]
    pub address: Owned,
}

/// What is to be taken away may be written as it was given: 192.0.2.11/24 is 192.0.2.11.
fn taken(text: &str) -> Result<Owned, String> {
    text.parse::<AddressSpec>()
        .map(|spec| spec.owned)
        .map_err(|error| error.to_string())
}

/// `hostlet apply`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Creates declared hostlets that are not there, changes the ones that differ, and removes those that an \
earlier apply made and that are declared no more. Hostlets made by create or run are left alone. \
The plan is printed before anything is done. Pools and rules are hostletd's, which takes them over by `hostlet reload`.

JSON (--json): {\"dry_run\": bool, \"changes\": [{\"change\", \"name\", \"text\", \"actions\": [text…] \
(what comes to addresses, routes, sockets and processes)}]}

Example:
  hostlet apply --dry-run
  hostlet apply")]
pub struct Apply {
    /// Print the plan and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Kill the members of hostlets that are declared no more, to remove these
    #[arg(long)]
    pub kill: bool,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
}

/// `hostlet reload`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
hostletd reads the configuration anew, checks it whole, and takes over the pools and the declared \
hostlets as it says; if something in it is wrong, nothing changes. One line is printed for each \
change.

Example:
  hostlet reload --dry-run
  hostlet reload")]
pub struct Reload {
    /// Print the changes and do nothing
    #[arg(long)]
    pub dry_run: bool,
}
