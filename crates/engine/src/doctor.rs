//! What this kernel and system offer, what is missing, and what that costs.

use std::fs;
use std::path::Path;

use hostlet_kernel::Kernel;
use hostlet_kernel::probe::{self, Presence};
use hostlet_platform::exec_watch::ExecWatch;
use hostlet_platform::launch::leads_out_by_io_uring;
use hostlet_platform::{cgroup, sockdiag};
use hostlet_store::Store;

use crate::Engine;
use crate::bpffs;
use crate::error::{Error, Result};
use crate::lock::{cgroup_writable, is_shut_in};
use crate::machine::read_config;
use crate::report::{DoctorReport, FeatureReport, LimitReport};

impl Engine {
    /// Looks at everything; what is missing is in the report, not an error.
    ///
    /// # Errors
    /// Not root, inside a hostlet, or the configuration is wrong.
    pub fn doctor(&self) -> Result<DoctorReport> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::NotRoot {
                what: "ask the kernel what it offers",
            });
        }
        if is_shut_in(&self.paths) {
            return Err(Error::Inside);
        }
        let config = read_config(&self.paths)?;
        let mut features: Vec<FeatureReport> = probe::features()
            .into_iter()
            .map(|f| FeatureReport {
                name: f.name.to_owned(),
                present: match f.presence {
                    Presence::Yes => Some(true),
                    Presence::No => Some(false),
                    Presence::Unknown => None,
                },
                needed: f.required,
                costs: f.without.to_owned(),
            })
            .collect();
        features.extend(self.system());
        let kernel = Kernel::open(&self.paths.pins)?;
        let used = Store::open_read_only(&self.paths.db)?.all()?.len();
        Ok(DoctorReport {
            usable: features
                .iter()
                .all(|f| !f.needed || f.present != Some(false)),
            features,
            limits: LimitReport {
                hostlets: config.limits.hostlets,
                hostlets_used: u32::try_from(used).unwrap_or(u32::MAX),
                sockets: config.limits.sockets,
                further_loopbacks: hostlet_kernel::EXTRAS,
                further_loopbacks_used: match &kernel {
                    Some(kernel) => kernel.further_loopbacks_used()?,
                    None => 0,
                },
                further_loopbacks_each: hostlet_kernel::EXTRAS_EACH,
                memory_bytes: kernel.as_ref().and_then(Kernel::memory),
            },
            installed: kernel.is_some(),
        })
    }

    fn system(&self) -> Vec<FeatureReport> {
        let feature = |name: &str, present: Option<bool>, needed, costs: String| FeatureReport {
            name: name.to_owned(),
            present,
            needed,
            costs,
        };
        let mount = cgroup::find_mount();
        let bpffs = &self.paths.bpffs;
        vec![
            feature(
                "cgroup2 mounted",
                Some(mount.is_ok()),
                true,
                "hostlets are cgroups: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified".to_owned(),
            ),
            feature(
                "cgroup2 writable",
                cgroup_writable(),
                true,
                "no hostlet can be made from here (inside a hostlet or a container?)".to_owned(),
            ),
            feature(
                "bpf file system mounted",
                Some(bpffs::is_bpffs(bpffs)),
                false,
                format!("the first hostlet mounts it at {}", bpffs.display()),
            ),
            feature(
                "destroying sockets",
                sockdiag::can_destroy(),
                false,
                "a socket outlives its address until it closes (revoke, remove): the kernel lacks \
                 CONFIG_INET_DIAG_DESTROY"
                    .to_owned(),
            ),
            feature(
                "asking before programs start",
                Some(asks_before_starts()),
                false,
                "rules with programs do nothing: the kernel lacks CONFIG_FANOTIFY_ACCESS_PERMISSIONS"
                    .to_owned(),
            ),
            feature(
                "IPv6",
                Some(sysctl("/proc/sys/net/ipv6/conf/all/disable_ipv6") == Some(0)),
                false,
                "hostlets have IPv4 only".to_owned(),
            ),
            feature(
                "IPv6 bind to routed prefixes",
                Some(sysctl("/proc/sys/net/ipv6/ip_nonlocal_bind") == Some(1)),
                false,
                "hostlets cannot own IPv6 prefixes: sysctl -w net.ipv6.ip_nonlocal_bind=1"
                    .to_owned(),
            ),
            feature(
                "no RDS over TCP",
                Some(!leads_out_by_io_uring()),
                false,
                "who logs in to a hostlet, or was attached to it, sends from the machine's addresses by RDS, and programs that \
                 are started in one have no io_uring, by which they could: modprobe -r rds_tcp"
                    .to_owned(),
            ),
        ]
    }
}

/// Whether the kernel would ask hostletd (fanotify): tried for a moment, in a directory without programs. Not in /proc, where
/// such questions are refused.
fn asks_before_starts() -> bool {
    ExecWatch::new().is_ok_and(|watch| watch.watch_directory(Path::new("/")).is_ok())
}

fn sysctl(path: &str) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
