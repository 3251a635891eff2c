//! Attaching: the programs of a cgroup, and the learner of an interface.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libbpf_sys as sys;

use crate::error::{Error, Result};
use crate::install::{Kernel, owned, pin};

/// The program of the network namespace.
pub(crate) const LOOKUP: &str = "hl_lookup";

/// The programs of a cgroup, each with its place. The guard comes first, so that a
/// cgroup is never half open: what cannot pass a packet needs no other rule yet.
pub(crate) const CGROUP_PROGRAMS: [(&str, sys::bpf_attach_type); 19] = [
    ("hl_egress", sys::BPF_CGROUP_INET_EGRESS),
    ("hl_ingress", sys::BPF_CGROUP_INET_INGRESS),
    ("hl_sock_create", sys::BPF_CGROUP_INET_SOCK_CREATE),
    ("hl_sock_release", sys::BPF_CGROUP_INET_SOCK_RELEASE),
    ("hl_sock_ops", sys::BPF_CGROUP_SOCK_OPS),
    ("hl_bind4", sys::BPF_CGROUP_INET4_BIND),
    ("hl_bind6", sys::BPF_CGROUP_INET6_BIND),
    ("hl_post_bind4", sys::BPF_CGROUP_INET4_POST_BIND),
    ("hl_post_bind6", sys::BPF_CGROUP_INET6_POST_BIND),
    ("hl_connect4", sys::BPF_CGROUP_INET4_CONNECT),
    ("hl_connect6", sys::BPF_CGROUP_INET6_CONNECT),
    ("hl_sendmsg4", sys::BPF_CGROUP_UDP4_SENDMSG),
    ("hl_sendmsg6", sys::BPF_CGROUP_UDP6_SENDMSG),
    ("hl_recvmsg4", sys::BPF_CGROUP_UDP4_RECVMSG),
    ("hl_recvmsg6", sys::BPF_CGROUP_UDP6_RECVMSG),
    ("hl_getsockname4", sys::BPF_CGROUP_INET4_GETSOCKNAME),
    ("hl_getsockname6", sys::BPF_CGROUP_INET6_GETSOCKNAME),
    ("hl_getpeername4", sys::BPF_CGROUP_INET4_GETPEERNAME),
    ("hl_getpeername6", sys::BPF_CGROUP_INET6_GETPEERNAME),
];

impl Kernel {
    /// Attaches all programs to a cgroup; what is attached already stays as it is. They live as
    /// long as the cgroup and the sockets made in it.
    ///
    /// # Errors
    /// If one cannot be attached; those attached by this call are taken off again.
    pub fn attach(&self, cgroup: BorrowedFd<'_>) -> Result<()> {
        let mut done: Vec<(BorrowedFd<'_>, sys::bpf_attach_type)> = Vec::new();
        for (name, place) in CGROUP_PROGRAMS {
            let program = self.cgroup_program(name)?;
            match attach_one(program, cgroup, place) {
                Ok(()) => done.push((program, place)),
                // There already: the work of an earlier call.
                Err(cause)
                    if cause.raw_os_error() == Some(libc::EINVAL)
                        && self.holds(cgroup, program, place)? => {}
                Err(cause) => {
                    for (program, place) in done.into_iter().rev() {
                        // SAFETY: valid descriptors. A failure here leaves what the caller removes with the cgroup.
                        let _ = unsafe {
                            sys::bpf_prog_detach2(program.as_raw_fd(), cgroup.as_raw_fd(), place)
                        };
                    }
                    return Err(Error::Attach {
                        program: name,
                        target: "the cgroup".to_owned(),
                        cause,
                    });
                }
            }
        }
        Ok(())
    }

    /// Attaches all programs to a cgroup that has no members, as long as the kernel part is there. With the first program of a kind on the
    /// machine the kernel rewrites its own code, on all processors, and again when the last one goes: that takes longer than all else
    /// that is done for a hostlet. So the first one does not wait for it, nor does each of those that are alone.
    ///
    /// # Errors
    /// If one cannot be attached.
    pub fn stay_ready(&self, cgroup: BorrowedFd<'_>) -> Result<()> {
        for (name, place) in CGROUP_PROGRAMS {
            let program = self.cgroup_program(name)?;
            // SAFETY: two valid descriptors; no options.
            let link = unsafe {
                sys::bpf_link_create(
                    program.as_raw_fd(),
                    cgroup.as_raw_fd(),
                    place,
                    std::ptr::null(),
                )
            };
            let link = owned(link).map_err(|cause| Error::Attach {
                program: name,
                target: "the cgroup without members".to_owned(),
                cause,
            })?;
            // Links go with their pins, whoever takes those away.
            pin(link.as_fd(), &self.pins.join("ready").join(name))?;
        }
        Ok(())
    }

    /// Takes all programs off a cgroup that was there before its hostlet.
    ///
    /// # Errors
    /// The last failure; the others are taken off all the same. One that is not attached is none.
    pub fn detach(&self, cgroup: BorrowedFd<'_>) -> Result<()> {
        let mut outcome = Ok(());
        // The guard goes last.
        for (name, place) in CGROUP_PROGRAMS.into_iter().rev() {
            let program = self.cgroup_program(name)?;
            // SAFETY: valid descriptors.
            let rc =
                unsafe { sys::bpf_prog_detach2(program.as_raw_fd(), cgroup.as_raw_fd(), place) };
            if rc < 0 && rc != -libc::ENOENT {
                let cause = io::Error::from_raw_os_error(-rc);
                outcome = Err(Error::Attach {
                    program: name,
                    target: "the cgroup (taking it off)".to_owned(),
                    cause,
                });
            }
        }
        outcome
    }

    /// Are all programs attached to this cgroup?
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn attached(&self, cgroup: BorrowedFd<'_>) -> Result<bool> {
        for (name, place) in CGROUP_PROGRAMS {
            if !self.holds(cgroup, self.cgroup_program(name)?, place)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes off what an earlier kernel part of hostlet left attached to a cgroup: programs whose
    /// pins are gone, so that nobody can reach their tables any more.
    ///
    /// # Errors
    /// If the kernel does not say what is attached, or does not take it off.
    pub fn supersede(&self, cgroup: BorrowedFd<'_>) -> Result<()> {
        for (name, place) in CGROUP_PROGRAMS {
            let own = id_of(self.cgroup_program(name)?)?;
            for id in attached_ids(cgroup, place)? {
                // SAFETY: a number; the answer is a new descriptor or an error.
                let Ok(program) = owned(unsafe { sys::bpf_prog_get_fd_by_id(id) }) else {
                    continue; // it went meanwhile
                };
                if id == own || !is_named(&program, name) {
                    continue;
                }
                // SAFETY: two valid descriptors.
                let rc = unsafe {
                    sys::bpf_prog_detach2(program.as_raw_fd(), cgroup.as_raw_fd(), place)
                };
                if rc < 0 && rc != -libc::ENOENT {
                    return Err(Error::Attach {
                        program: name,
                        target: "the cgroup (taking an older one off)".to_owned(),
                        cause: io::Error::from_raw_os_error(-rc),
                    });
                }
            }
        }
        Ok(())
    }

    /// One of the programs of a cgroup; its pin is opened once.
    fn cgroup_program(&self, name: &str) -> Result<BorrowedFd<'_>> {
        let place = CGROUP_PROGRAMS.iter().position(|(n, _)| *n == name);
        let kept = &self.programs[place.unwrap_or_default()];
        if let Some(program) = kept.get() {
            return Ok(program.as_fd());
        }
        let program = self.program(name)?;
        Ok(kept.get_or_init(|| program).as_fd())
    }

    fn holds(
        &self,
        cgroup: BorrowedFd<'_>,
        program: BorrowedFd<'_>,
        place: sys::bpf_attach_type,
    ) -> Result<bool> {
        Ok(attached_ids(cgroup, place)?.contains(&id_of(program)?))
    }
}

fn asked(cause: io::Error) -> Error {
    Error::Os {
        what: "ask which programs a cgroup has",
        cause,
    }
}

fn id_of(program: BorrowedFd<'_>) -> Result<u32> {
    libbpf_rs::Program::id_from_fd(program).map_err(|e| asked(io::Error::other(e.to_string())))
}

fn attached_ids(cgroup: BorrowedFd<'_>, place: sys::bpf_attach_type) -> Result<Vec<u32>> {
    let mut ids = [0u32; 64];
    let mut count = ids.len() as u32;
    let mut flags = 0;
    // SAFETY: the buffer holds `count` ids; the other pointers are to live variables.
    let rc = unsafe {
        sys::bpf_prog_query(
            cgroup.as_raw_fd(),
            place,
            0,
            &mut flags,
            ids.as_mut_ptr(),
            &mut count,
        )
    };
    if rc < 0 {
        return Err(asked(io::Error::from_raw_os_error(-rc)));
    }
    Ok(ids[..(count as usize).min(ids.len())].to_vec())
}

/// Whether a program has this name, of which the kernel keeps the first 15 bytes.
fn is_named(program: &OwnedFd, name: &str) -> bool {
    let mut info = sys::bpf_prog_info::default();
    let mut len = size_of::<sys::bpf_prog_info>() as u32;
    // SAFETY: a valid descriptor, a zeroed structure of the right kind, and its size.
    let rc =
        unsafe { sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut len) };
    let kept = name.bytes().take(info.name.len() - 1);
    rc == 0
        && info
            .name
            .iter()
            .map(|c| *c as u8)
            .take_while(|c| *c != 0)
            .eq(kept)
}

fn attach_one(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    place: sys::bpf_attach_type,
) -> io::Result<()> {
    // SAFETY: two valid descriptors.
    let rc = unsafe {
        sys::bpf_prog_attach(
            program.as_raw_fd(),
            cgroup.as_raw_fd(),
            place,
            sys::BPF_F_ALLOW_MULTI,
        )
    };
    if rc < 0 {
        Err(io::Error::from_raw_os_error(-rc))
    } else {
        Ok(())
    }
}
