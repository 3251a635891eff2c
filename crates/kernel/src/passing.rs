//! Sockets of which something is stored, as those that are as outside although members have them (rows B8, B10, B11).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Error, Result};
use crate::install::{Kernel, owned};

/// The program that lists them, of whichever table it is told: it looks at nothing but the socket.
const LIST: &str = "hl_list_passing";

impl Kernel {
    /// The cookies of the sockets that pass, of all hostlets and in all network namespaces.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn passing(&self) -> Result<BTreeSet<u64>> {
        self.sockets_in("passing")
    }

    /// The cookies of the sockets that a table of socket storage has something of.
    pub(crate) fn sockets_in(&self, table: &'static str) -> Result<BTreeSet<u64>> {
        let failed = |cause| Error::Os {
            what: "list the sockets of a table",
            cause,
        };
        let program = self.program(LIST)?;
        let map = self.map(table)?.as_fd().as_raw_fd();
        let mut target = libbpf_sys::bpf_iter_link_info::default();
        target.map.map_fd = map as u32;
        let options = libbpf_sys::bpf_link_create_opts {
            sz: size_of::<libbpf_sys::bpf_link_create_opts>() as u64,
            iter_info: &raw mut target,
            iter_info_len: size_of_val(&target) as u32,
            ..Default::default()
        };
        // SAFETY: a valid descriptor; the options, and what they point to, live through the call.
        let link = unsafe {
            libbpf_sys::bpf_link_create(
                program.as_raw_fd(),
                0,
                libbpf_sys::BPF_TRACE_ITER,
                &raw const options,
            )
        };
        let link = owned(link).map_err(failed)?;
        // SAFETY: a valid descriptor.
        let listing = unsafe { libbpf_sys::bpf_iter_create(link.as_raw_fd()) };
        let mut bytes = Vec::new();
        let mut listing = File::from(owned(listing).map_err(failed)?);
        listing.read_to_end(&mut bytes).map_err(failed)?;
        let cookies = bytes.chunks_exact(size_of::<u64>());
        if !cookies.remainder().is_empty() {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let cookie = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        Ok(cookies.map(cookie).collect())
    }
}
