//! Tries to open sockets: `sockets FAMILY:TYPE:PROTOCOL...` prints `ok` or the errno for each.

fn main() {
    for arg in std::env::args().skip(1) {
        let numbers: Vec<i32> = arg.split(':').filter_map(|n| n.parse().ok()).collect();
        let [family, kind, protocol] = numbers[..] else {
            println!("?");
            continue;
        };
        // SAFETY: no pointers; the descriptor is left to the end of the process.
        let fd = unsafe { libc::socket(family, kind, protocol) };
        if fd >= 0 {
            println!("ok");
        } else {
            let error = std::io::Error::last_os_error();
            println!("{}", error.raw_os_error().unwrap_or(0));
        }
    }
}
