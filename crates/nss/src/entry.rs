//! What the C library calls. Each function looks the answer up, lays it out in the caller's buffer, and reports in the library's
//! three ways at once: status, `errno`, `h_errno`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::family::{self, number_and_length};
use crate::room::{Full, Room};
use crate::{Answer, Family, Place};

/// The C library's `enum nss_status`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The buffer is too small (with `ERANGE`): the library asks again with a larger one.
    TryAgain = -2,
    /// It could not be looked up.
    Unavailable = -1,
    /// Nothing is known; the next service is asked.
    NotFound = 0,
    /// Here is the answer.
    Success = 1,
}

/// The C library's `struct gaih_addrtuple`: one address of an answer to getaddrinfo.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AddressTuple {
    /// The next one, or null.
    pub next: *mut AddressTuple,
    /// The canonical name.
    pub name: *mut c_char,
    /// `AF_INET` or `AF_INET6`.
    pub family: c_int,
    /// The address in network byte order; the first word of it for IPv4.
    pub addr: [u32; 4],
    /// The zone, which none of our addresses has.
    pub scopeid: u32,
}

// Values of `h_errno`.
const NETDB_INTERNAL: c_int = -1;
const NETDB_SUCCESS: c_int = 0;
const HOST_NOT_FOUND: c_int = 1;
const NO_RECOVERY: c_int = 3;
const NO_DATA: c_int = 4;

/// Why there is no answer to lay out.
enum Without {
    Unknown,
    NoData,
    Full,
    Failed(c_int),
}

impl From<Full> for Without {
    fn from(_: Full) -> Self {
        Without::Full
    }
}

impl From<std::io::Error> for Without {
    fn from(e: std::io::Error) -> Self {
        Without::Failed(e.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Does the work, and says what came of it; whatever goes wrong in it stays here.
///
/// # Safety
/// Both pointers are null or can be written to.
unsafe fn report(
    errno: *mut c_int,
    h_errno: *mut c_int,
    work: impl FnOnce() -> Result<(), Without>,
) -> Status {
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Without::Failed(libc::EIO)));
    let (status, error, host_error) = match done {
        Ok(()) => (Status::Success, None, NETDB_SUCCESS),
        Err(Without::Unknown) => (Status::NotFound, Some(libc::ENOENT), HOST_NOT_FOUND),
        Err(Without::NoData) => (Status::NotFound, Some(libc::ENOENT), NO_DATA),
        Err(Without::Full) => (Status::TryAgain, Some(libc::ERANGE), NETDB_INTERNAL),
        Err(Without::Failed(error)) => (Status::Unavailable, Some(error), NO_RECOVERY),
    };
    // SAFETY: as the caller promises.
    unsafe {
        if let Some(error) = error {
            set(errno, error);
        }
        set(h_errno, host_error);
    }
    status
}

/// # Safety
/// The pointer is null or can be written to.
unsafe fn set<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: as the caller promises.
        unsafe { place.write(value) };
    }
}

/// The answer to a question by name; at least one address.
///
/// # Safety
/// `name` is null or ends with a NUL.
unsafe fn by_name(name: *const c_char, family: Family) -> Result<Answer, Without> {
    if name.is_null() {
        return Err(Without::Unknown);
    }
    // SAFETY: as the caller promises; it stays while the call lasts.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    let answer = Place::here()
        .by_name(name, family)?
        .ok_or(Without::Unknown)?;
    if answer.addresses.is_empty() {
        return Err(Without::NoData);
    }
    Ok(answer)
}

/// The family of a `hostent`, which can show only one.
fn single(family: c_int) -> Result<Family, Without> {
    match Family::of(family) {
        Some(Family::Any) => Ok(Family::V4),
        Some(family) => Ok(family),
        None => Err(Without::Failed(libc::EAFNOSUPPORT)),
    }
}

/// The answer as a `hostent`, with all that it points to in the buffer. All addresses are of one family.
fn lay_out(answer: &Answer, room: &mut Room) -> Result<libc::hostent, Without> {
    let first = *answer.addresses.first().ok_or(Without::NoData)?;
    let (family, length) = number_and_length(first);
    let mut aliases = Vec::new();
    let mut addresses = Vec::new();
    let name = room.text(&answer.name)?;
    for alias in &answer.aliases {
        aliases.push(room.text(alias)?);
    }
    for address in &answer.addresses {
        // Words: programs read them as in_addr and in6_addr, which are aligned so.
        let words = words(*address);
        addresses.push(room.put(&words[..length / 4])?.cast::<c_char>());
    }
    aliases.push(std::ptr::null_mut());
    addresses.push(std::ptr::null_mut());
    Ok(libc::hostent {
        h_name: name,
        h_aliases: room.put(&aliases)?,
        h_addrtype: family,
        h_length: length as c_int,
        h_addr_list: room.put(&addresses)?,
    })
}

/// The address as words in network byte order.
fn words(address: IpAddr) -> [u32; 4] {
    let mut bytes = [0u8; 16];
    match address {
        IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => bytes = v6.octets(),
    }
    let mut words = [0u32; 4];
    for (word, four) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_ne_bytes(*four);
    }
    words
}

/// The machine's own name, by family; with the canonical name apart.
///
/// # Safety
/// As the C library calls it: `name` ends with a NUL; `result` can be written to; `buffer` has `length` bytes; `errno`, `h_errno`,
/// `ttl`, `canonical` are null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_hostlet_gethostbyname3_r(
    name: *const c_char,
    family: c_int,
    result: *mut libc::hostent,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
    h_errno: *mut c_int,
    ttl: *mut i32,
    canonical: *mut *mut c_char,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        report(errno, h_errno, || {
            let answer = by_name(name, single(family)?)?;
            let host = lay_out(&answer, &mut Room::new(buffer, length))?;
            // Not to be kept: the next process that asks may be in another hostlet.
            set(ttl, 0);
            set(canonical, host.h_name);
            result.write(host);
            Ok(())
        })
    }
}

/// The machine's own name, by family.
///
/// # Safety
/// As [`_nss_hostlet_gethostbyname3_r`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_hostlet_gethostbyname2_r(
    name: *const c_char,
    family: c_int,
    result: *mut libc::hostent,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
    h_errno: *mut c_int,
) -> Status {
    let (ttl, canonical) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: as the caller promises.
    unsafe {
        _nss_hostlet_gethostbyname3_r(
            name, family, result, buffer, length, errno, h_errno, ttl, canonical,
        )
    }
}

/// The machine's own name: its IPv4 addresses.
///
/// # Safety
/// As [`_nss_hostlet_gethostbyname3_r`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_hostlet_gethostbyname_r(
    name: *const c_char,
    result: *mut libc::hostent,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
    h_errno: *mut c_int,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        _nss_hostlet_gethostbyname2_r(name, libc::AF_INET, result, buffer, length, errno, h_errno)
    }
}

/// The machine's own name, for getaddrinfo: addresses of both families.
///
/// # Safety
/// As the C library calls it: `name` ends with a NUL; `first` can be written to, and so can what it points to, if that is not null;
/// `buffer` has `length` bytes; `errno`, `h_errno`, `ttl` are null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_hostlet_gethostbyname4_r(
    name: *const c_char,
    first: *mut *mut AddressTuple,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
    h_errno: *mut c_int,
    ttl: *mut i32,
) -> Status {
    // SAFETY: as the caller promises. `take` gave room for as many tuples as are written.
    unsafe {
        report(errno, h_errno, || {
            let answer = by_name(name, Family::Any)?;
            let mut room = Room::new(buffer, length);
            let name = room.text(&answer.name)?;
            let tuples = room.take::<AddressTuple>(answer.addresses.len())?;
            let last = answer.addresses.len() - 1;
            for (at, address) in answer.addresses.iter().enumerate() {
                let next = if at == last {
                    std::ptr::null_mut()
                } else {
                    tuples.add(at + 1)
                };
                tuples.add(at).write(AddressTuple {
                    next,
                    name,
                    family: number_and_length(*address).0,
                    addr: words(*address),
                    scopeid: 0,
                });
            }
            // The caller may have brought the first one himself.
            if (*first).is_null() {
                *first = tuples;
            } else {
                (*first).write(*tuples);
            }
            set(ttl, 0);
            Ok(())
        })
    }
}

/// Whose the address is: the machine's, if it is one of the caller's hostlet or the machine's own.
///
/// # Safety
/// As the C library calls it: `address` has `size` bytes; `result` can be written to; `buffer` has `length` bytes; `errno`,
/// `h_errno`, `ttl` are null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_hostlet_gethostbyaddr2_r(
    address: *const c_void,
    size: libc::socklen_t,
    family: c_int,
    result: *mut libc::hostent,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
    h_errno: *mut c_int,
    ttl: *mut i32,
) -> Status {
    // SAFETY: as the caller promises; no more than 16 bytes of the address are looked at.
    unsafe {
        report(errno, h_errno, || {
            if !matches!((family, size), (libc::AF_INET, 4) | (libc::AF_INET6, 16))
                || address.is_null()
            {
                return Err(Without::Failed(libc::EAFNOSUPPORT));
            }
            let bytes = std::slice::from_raw_parts(address.cast::<u8>(), size as usize);
            let asked = family::address(bytes, family).ok_or(Without::Unknown)?;
            let answer = Place::here().by_address(asked)?.ok_or(Without::Unknown)?;
            let host = lay_out(&answer, &mut Room::new(buffer, length))?;
            set(ttl, 0);
            result.write(host);
            Ok(())
        })
    }
}

/// As [`_nss_hostlet_gethostbyaddr2_r`], without a time to live.
///
/// # Safety
/// As that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_hostlet_gethostbyaddr_r(
    address: *const c_void,
    size: libc::socklen_t,
    family: c_int,
    result: *mut libc::hostent,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
    h_errno: *mut c_int,
) -> Status {
    let ttl = std::ptr::null_mut();
    // SAFETY: as the caller promises.
    unsafe {
        _nss_hostlet_gethostbyaddr2_r(
            address, size, family, result, buffer, length, errno, h_errno, ttl,
        )
    }
}
