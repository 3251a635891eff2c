//! Compiles the kernel programs with clang and derives the Rust types from the shared header.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use libbpf_cargo::SkeletonBuilder;

/// The first clang that can compile for BPF: `CLANG`, then the newest by name.
fn clang() -> String {
    if let Ok(named) = env::var("CLANG") {
        return named;
    }
    let works = |name: &String| {
        Command::new(name)
            .arg("--version")
            .output()
            .is_ok_and(|o| o.status.success())
    };
    let versions = (16..=30)
        .rev()
        .map(|v| format!("clang-{v}"))
        .chain(["clang".to_owned()]);
    versions.into_iter().find(works).unwrap_or_else(|| {
        panic!("no clang found to compile the kernel programs: install clang-19 (or newer), or name one in CLANG")
    })
}

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets the target");
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    compile(&out.join("hostlet.bpf.o"), &arch);
    bindings(&out.join("abi.rs"), &arch);
}

fn compile(object: &Path, arch: &str) {
    SkeletonBuilder::new()
        .source("bpf/hostlet.bpf.c")
        .obj(object)
        .clang(clang())
        .clang_args([
            "-mcpu=v3",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-function",
            "-Wno-missing-field-initializers",
            &format!("-I/usr/include/{arch}-linux-gnu"),
        ])
        .build()
        .expect("compile bpf/hostlet.bpf.c");
}

fn bindings(file: &Path, arch: &str) {
    bindgen::Builder::default()
        .header("bpf/hostlet.h")
        .clang_arg(format!("-I/usr/include/{arch}-linux-gnu"))
        .allowlist_item("(hl|HL)_.*")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .generate_comments(false)
        .layout_tests(true)
        .generate()
        .expect("derive the types of bpf/hostlet.h; bindgen needs libclang (package libclang1-19)")
        .write_to_file(file)
        .expect("write the types of bpf/hostlet.h");
}
