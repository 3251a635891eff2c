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
    link_into_the_program(&out.join("libraries"));
    compile(&out.join("hostlet.bpf.o"), &arch);
    bindings(&out.join("abi.rs"), &arch);
}

/// Has what links this crate take some libraries into itself, where they are there in that form: each shared one costs whoever is
/// started more than a hundred microseconds.
fn link_into_the_program(dir: &Path) {
    // libgcc_s unwinds.
    const ARCHIVES: [(&str, &str); 2] = [("libz", "libz.a"), ("libgcc_s", "libgcc_eh.a")];
    std::fs::create_dir_all(dir).expect("make a directory for the linker");
    for (name, archive) in ARCHIVES {
        let found = Command::new("cc")
            .arg(format!("-print-file-name={archive}"))
            .output();
        let path = found.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
        // What is not found comes back as it is.
        if let Some(path) = path.ok().filter(|path| Path::new(path).is_absolute()) {
            // The linker takes this for the shared one.
            let script = dir.join(format!("{name}.so"));
            std::fs::write(script, format!("INPUT({path})\n")).expect("write for the linker");
        }
    }
    println!("cargo:rustc-link-search=native={}", dir.display());
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
