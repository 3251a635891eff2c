//! Whole tables in few calls: one for each entry would cost a command milliseconds where there are many hostlets.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::{MapCore, MapHandle};
use libbpf_sys as sys;

/// How many entries are asked for at once, to begin with.
const CHUNK: u32 = 1024;

/// Everything in a table; none if this kernel cannot give it at once, or it changes too fast.
///
/// The library's own iterator takes a chunk that is not full for the last one, which those of hash tables seldom are.
pub(crate) fn entries(map: &MapHandle) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let (key_size, value_size) = (map.key_size() as usize, map.value_size() as usize);
    if key_size == 0 || value_size == 0 {
        return None;
    }
    let most = map.max_entries() as usize;
    let mut chunk = CHUNK;
    let mut all = Vec::new();
    // Where the next chunk begins: a key, or the number of a hash chain.
    let mut from: Option<Vec<u8>> = None;
    loop {
        let mut keys = vec![0; chunk as usize * key_size];
        let mut values = vec![0; chunk as usize * value_size];
        let mut next = vec![0; key_size.max(size_of::<u32>())];
        let mut count = chunk;
        // SAFETY: `keys` and `values` have room for `count` entries of the table, and `from` and `next` for the longer
        // of a key and the number of a chain. No options.
        let answer = unsafe {
            sys::bpf_map_lookup_batch(
                map.as_fd().as_raw_fd(),
                from.as_mut()
                    .map_or(std::ptr::null_mut(), Vec::as_mut_ptr)
                    .cast(),
                next.as_mut_ptr().cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                std::ptr::null(),
            )
        };
        let last = match io::Error::from_raw_os_error(-answer).raw_os_error() {
            _ if answer >= 0 => false,
            Some(libc::ENOENT) => true,
            // A chain of the hash has more than fits.
            Some(libc::ENOSPC) if (chunk as usize) < most => {
                chunk = chunk.saturating_mul(4);
                continue;
            }
            _ => return None,
        };
        let count = count as usize;
        let pairs = keys
            .chunks_exact(key_size)
            .zip(values.chunks_exact(value_size));
        all.extend(
            pairs
                .take(count)
                .map(|(key, value)| (key.to_vec(), value.to_vec())),
        );
        if last {
            return Some(all);
        }
        // Entries that come and go while it is read must not keep this here for ever.
        if all.len() > 2 * most {
            return None;
        }
        from = Some(next);
    }
}
