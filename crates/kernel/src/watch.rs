//! The programs of an interface: the learner where packets come in, the mender of echo
//! sources where they go out. Links (tcx) where the kernel has them, else tc filters.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::query::LinkTypeInfo;
use libbpf_sys as sys;

use crate::error::{Error, Result};
use crate::install::{Kernel, detach_link, owned, pin, pin_error};

/// A direction of an interface and what stands there.
struct Side {
    /// Its part of a pin's name.
    name: &'static str,
    program: &'static str,
    tcx: sys::bpf_attach_type,
    classic: sys::bpf_tc_attach_point,
}

const SIDES: [Side; 2] = [
    Side {
        name: "in",
        program: "hl_learn",
        tcx: sys::BPF_TCX_INGRESS,
        classic: sys::BPF_TC_INGRESS,
    },
    Side {
        name: "out",
        program: "hl_ping",
        tcx: sys::BPF_TCX_EGRESS,
        classic: sys::BPF_TC_EGRESS,
    },
];

/// How a program is attached; its pin is named after that, its side and the interface.
const TCX: &str = "tcx";
const CLSACT: &str = "clsact";

/// Way, side and interface that a pin stands for.
fn place_of(pin: &str) -> Option<(&str, &'static Side, u32)> {
    let mut parts = pin.split('-');
    let (way, side, ifindex) = (parts.next()?, parts.next()?, parts.next()?);
    let side = SIDES.iter().find(|s| s.name == side)?;
    (way == TCX || way == CLSACT).then_some((way, side, ifindex.parse().ok()?))
}

/// A pin, and what it stands for.
struct LearnerPin {
    path: PathBuf,
    tcx: bool,
    side: &'static Side,
    ifindex: u32,
}

impl Kernel {
    /// Puts the programs of these interfaces there, and forgets the ones of interfaces that went; again is no
    /// error.
    ///
    /// # Errors
    /// If one cannot be attached: `tcx` is tried, and `clsact` on kernels before 6.6.
    pub fn watch(&self, interfaces: &[u32]) -> Result<()> {
        for pin in self.learner_pins()? {
            if !interfaces.contains(&pin.ifindex) {
                self.unwatch(&pin)?;
            }
        }
        for ifindex in interfaces {
            let mut all = true;
            for side in &SIDES {
                all &= self.watch_side(*ifindex, side)?;
            }
            // The guard leaves echo sources to be mended only where both are.
            if all {
                self.put("watched", &ifindex.to_ne_bytes(), &1u32.to_ne_bytes())?;
            }
        }
        Ok(())
    }

    /// False if the interface is gone.
    fn watch_side(&self, ifindex: u32, side: &'static Side) -> Result<bool> {
        let (path, classic) = (
            self.side_pin(TCX, side, ifindex),
            self.side_pin(CLSACT, side, ifindex),
        );
        if is_on(&path, ifindex) || classic.exists() {
            return Ok(true);
        }
        // A link that outlived its interface, whose number another has now.
        let _ = fs::remove_file(&path);
        let program = self.program(side.program)?;
        // Before all others: one that ends the chain (TCX_PASS) would let out what has a foreign source.
        let first = sys::bpf_link_create_opts {
            sz: size_of::<sys::bpf_link_create_opts>() as _,
            flags: sys::BPF_F_BEFORE,
            ..Default::default()
        };
        // SAFETY: a valid descriptor, an interface number, and options of the right size.
        let link = unsafe {
            sys::bpf_link_create(
                program.as_raw_fd(),
                ifindex as i32,
                side.tcx,
                &raw const first,
            )
        };
        match owned(link) {
            Ok(link) => pin(link.as_fd(), &path)?,
            Err(cause) if cause.raw_os_error() == Some(libc::ENODEV) => return Ok(false),
            // Another process saw the same change of the network, and is at it.
            Err(cause) if cause.raw_os_error() == Some(libc::EEXIST) => {}
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
                Clsact::on(ifindex, side).attach(program.as_fd())?;
                // The program itself marks the place, since there is no link to pin.
                pin(program.as_fd(), &classic)?;
            }
            Err(cause) => {
                return Err(Error::Attach {
                    program: side.program,
                    target: format!("interface {ifindex}"),
                    cause,
                });
            }
        }
        Ok(true)
    }

    /// The interfaces that are watched, by number.
    ///
    /// # Errors
    /// If the pins cannot be listed.
    pub fn watched(&self) -> Result<Vec<u32>> {
        let mut all: Vec<u32> = self.learner_pins()?.iter().map(|p| p.ifindex).collect();
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn learner_pins(&self) -> Result<Vec<LearnerPin>> {
        let dir = self.pins.join("links");
        let entries = fs::read_dir(&dir).map_err(|cause| pin_error("list", &dir, cause))?;
        let of_pin = |e: fs::DirEntry| {
            let name = e.file_name();
            let (way, side, ifindex) = place_of(name.to_str()?)?;
            Some(LearnerPin {
                path: e.path(),
                tcx: way == TCX,
                side,
                ifindex,
            })
        };
        Ok(entries.flatten().filter_map(of_pin).collect())
    }

    fn unwatch(&self, pin: &LearnerPin) -> Result<()> {
        self.take("watched", &pin.ifindex.to_ne_bytes())?;
        if pin.tcx {
            detach_link(&pin.path);
        } else {
            Clsact::on(pin.ifindex, pin.side).detach();
        }
        fs::remove_file(&pin.path).map_err(|cause| pin_error("remove the pin", &pin.path, cause))
    }

    /// Takes the programs off every interface.
    ///
    /// # Errors
    /// If a pin cannot be removed.
    pub fn unwatch_all(&self) -> Result<()> {
        for pin in self.learner_pins()? {
            self.unwatch(&pin)?;
        }
        Ok(())
    }

    fn side_pin(&self, way: &str, side: &Side, ifindex: u32) -> PathBuf {
        self.pins
            .join("links")
            .join(format!("{way}-{}-{ifindex}", side.name))
    }
}

/// Is there a link at this pin that is attached to this interface?
fn is_on(path: &Path, ifindex: u32) -> bool {
    let Ok(info) = libbpf_rs::Link::open(path).and_then(|link| link.info()) else {
        return false;
    };
    matches!(info.info, LinkTypeInfo::Tcx(tcx) if tcx.ifindex == ifindex)
}

/// The classic way to a side of an interface, for kernels without tcx.
struct Clsact {
    hook: sys::bpf_tc_hook,
    program: &'static str,
}

/// Where our filter sits, so that it can be found again and others are left alone.
const FILTER: (u32, u32) = (0x686c, 1); // handle, priority

impl Clsact {
    fn on(ifindex: u32, side: &'static Side) -> Self {
        let hook = sys::bpf_tc_hook {
            sz: size_of::<sys::bpf_tc_hook>() as _,
            ifindex: ifindex as i32,
            attach_point: side.classic,
            ..Default::default()
        };
        Self {
            hook,
            program: side.program,
        }
    }

    fn attach(mut self, program: BorrowedFd<'_>) -> Result<()> {
        let target = format!("interface {} through clsact", self.hook.ifindex);
        let failed = |rc: i32| Error::Attach {
            program: self.program,
            target: target.clone(),
            cause: io::Error::from_raw_os_error(-rc),
        };
        // SAFETY: a hook of the right size; one that exists already is no failure.
        let rc = unsafe { sys::bpf_tc_hook_create(&raw mut self.hook) };
        if rc < 0 && rc != -libc::EEXIST {
            return Err(failed(rc));
        }
        let mut opts = sys::bpf_tc_opts {
            sz: size_of::<sys::bpf_tc_opts>() as _,
            prog_fd: program.as_raw_fd(),
            flags: sys::BPF_TC_F_REPLACE,
            handle: FILTER.0,
            priority: FILTER.1,
            ..Default::default()
        };
        // SAFETY: both structures are live and of the right size.
        let rc = unsafe { sys::bpf_tc_attach(&raw const self.hook, &raw mut opts) };
        if rc < 0 { Err(failed(rc)) } else { Ok(()) }
    }

    /// Removes our filter; the qdisc stays, since others may use it. Nothing there is no failure.
    fn detach(self) {
        let opts = sys::bpf_tc_opts {
            sz: size_of::<sys::bpf_tc_opts>() as _,
            handle: FILTER.0,
            priority: FILTER.1,
            ..Default::default()
        };
        // SAFETY: both structures are live and of the right size.
        let _ = unsafe { sys::bpf_tc_detach(&raw const self.hook, &raw const opts) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_name_their_place() {
        let (way, side, ifindex) = place_of("tcx-out-12").unwrap();
        assert_eq!((way, side.program, ifindex), (TCX, "hl_ping", 12));
        assert!(place_of("lookup").is_none());
        assert!(place_of("tcx-up-1").is_none());
    }
}
