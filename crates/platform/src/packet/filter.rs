//! The building blocks of classic BPF filters.

use libc::sock_filter;

const fn step(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

pub(crate) const fn load8(at: u32) -> sock_filter {
    step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, at, 0, 0)
}

pub(crate) const fn load16(at: u32) -> sock_filter {
    step(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, at, 0, 0)
}

pub(crate) const fn load32(at: u32) -> sock_filter {
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0)
}

/// Sets the index to the length of the IPv4 header at the beginning.
pub(crate) const fn index_by_ipv4_header() -> sock_filter {
    step(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0)
}

pub(crate) const fn load16_indexed(at: u32) -> sock_filter {
    step(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, at, 0, 0)
}

/// Goes on with the `yes`th step from the next one if equal, with the `no`th if not.
pub(crate) const fn equal(value: u32, yes: u8, no: u8) -> sock_filter {
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no)
}

/// The same, if any of the bits is set.
pub(crate) const fn any_bit(bits: u32, yes: u8, no: u8) -> sock_filter {
    step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, yes, no)
}

pub(crate) const fn pass() -> sock_filter {
    step(libc::BPF_RET | libc::BPF_K, u32::MAX, 0, 0)
}

pub(crate) const fn drop() -> sock_filter {
    step(libc::BPF_RET | libc::BPF_K, 0, 0, 0)
}
