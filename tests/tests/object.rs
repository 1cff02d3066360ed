//! The committed eBPF object, examined without loading it.

use std::path::Path;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

fn committed() -> std::io::Result<Vec<u8>> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../collector-user/src/source/bpf/collector.bpf.o"),
    )
}

#[test]
fn no_panic_path_is_left_in_the_programs() {
    let data = committed().expect("the committed object");
    let file = object::File::parse(&*data).expect("an ELF file");
    // A check that can panic leaves a call to a panic function of core, or the panic
    // handler.
    let panics: Vec<&str> = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok())
        .filter(|name| name.contains("panic") || name.contains("unwrap_failed"))
        .collect();
    assert!(panics.is_empty(), "{panics:?}");
    // The compiler puts functions that do not return into a section of their own.
    let unlikely: Vec<&str> = file
        .sections()
        .filter_map(|section| section.name().ok())
        .filter(|name| name.starts_with(".text.unlikely"))
        .collect();
    assert!(unlikely.is_empty(), "{unlikely:?}");
}

#[test]
fn the_object_has_btf_and_no_other_debugging_information() {
    let data = committed().expect("the committed object");
    let file = object::File::parse(&*data).expect("an ELF file");
    for name in [".BTF", ".BTF.ext"] {
        assert!(file.section_by_name(name).is_some(), "{name} is missing");
    }
    let debug: Vec<&str> = file
        .sections()
        .filter_map(|section| section.name().ok())
        .filter(|name| name.contains("debug_"))
        .collect();
    assert!(debug.is_empty(), "{debug:?}");
}

#[test]
fn every_function_that_is_called_is_in_the_object() {
    let data = committed().expect("the committed object");
    let file = object::File::parse(&*data).expect("an ELF file");
    let undefined: Vec<&str> = file
        .symbols()
        .filter(|symbol| symbol.is_undefined() && symbol.index().0 != 0)
        .filter_map(|symbol| symbol.name().ok())
        .collect();
    assert!(undefined.is_empty(), "{undefined:?}");
}

#[test]
fn the_object_names_no_folder_of_the_machine_that_built_it() {
    let data = committed().expect("the committed object");
    let text = String::from_utf8_lossy(&data);
    for part in [
        "/home/",
        "/root/",
        "/.cargo/",
        "/.rustup/",
        "/registry/src/",
    ] {
        assert!(!text.contains(part), "{part}");
    }
}
