//! The name under which the C library looks for the module of the service `hostlet`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnss_hostlet.so.2");
}
