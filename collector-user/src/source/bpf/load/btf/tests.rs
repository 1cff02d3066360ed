use super::{
    Btf,
    encoding::{
        KIND_ARRAY, KIND_DATASEC, KIND_FUNC_PROTO, KIND_INT, KIND_PTR, KIND_STRUCT, KIND_TYPEDEF,
        KIND_VAR, MAGIC,
    },
};

/// `struct task { int a; struct { long b[4]; }; int c:3; int d:1; }`,
/// `typedef void (*btf_trace_hop)(void *, int, struct task *)`, and a
/// variable `here` of each CPU.
fn sample() -> Vec<u8> {
    let strings = b"\0int\0long\0task\0a\0b\0c\0d\0btf_trace_hop\0here\0.data..percpu\0";
    let name = |text: &str| {
        let text = format!("\0{text}\0");
        let at = strings
            .windows(text.len())
            .position(|part| part == text.as_bytes());
        at.expect("the name is in the table") as u32 + 1
    };
    let info = |kind: u32, count: u32, flag: bool| kind << 24 | count | u32::from(flag) << 31;
    #[rustfmt::skip]
    let types: Vec<u32> = vec![
        /* 1 */ name("int"), info(KIND_INT, 0, false), 4, 32,
        /* 2 */ name("long"), info(KIND_INT, 0, false), 8, 64,
        /* 3 */ 0, info(KIND_ARRAY, 0, false), 0, 2, 1, 4,
        /* 4 */ 0, info(KIND_STRUCT, 1, false), 32, name("b"), 3, 0,
        /* 5 */ name("task"), info(KIND_STRUCT, 4, true), 48,
            name("a"), 1, 0,  0, 4, 64,  name("c"), 1, 0x0300_0000 | 0x140,
            name("d"), 1, 0x0100_0000 | 0x14b,
        /* 6 */ 0, info(KIND_PTR, 0, false), 5,
        /* 7 */ 0, info(KIND_PTR, 0, false), 0,
        /* 8 */ 0, info(KIND_FUNC_PROTO, 3, false), 0,  0, 7,  0, 1,  0, 6,
        /* 9 */ 0, info(KIND_PTR, 0, false), 8,
        /* 10 */ name("btf_trace_hop"), info(KIND_TYPEDEF, 0, false), 9,
        /* 11 */ name("here"), info(KIND_VAR, 0, false), 1, 1,
        /* 12 */ name(".data..percpu"), info(KIND_DATASEC, 1, false), 68,  11, 64, 4,
    ];
    let mut data = Vec::new();
    data.extend(MAGIC.to_ne_bytes());
    data.extend([1, 0]);
    for word in [
        24,
        0,
        types.len() as u32 * 4,
        types.len() as u32 * 4,
        strings.len() as u32,
    ] {
        data.extend(word.to_ne_bytes());
    }
    for word in types {
        data.extend(word.to_ne_bytes());
    }
    data.extend(strings);
    data
}

#[test]
fn a_member_is_found_also_inside_one_without_a_name() {
    let btf = Btf::parse(sample()).expect("it is valid");
    let offset = |path| btf.field(path).map(|place| place.offset);
    assert_eq!(offset("task.a"), Some(0));
    assert_eq!(offset("task.b"), Some(8));
    assert_eq!(offset("task.b[3]"), Some(32));
    assert_eq!(offset("task.b[4]"), None, "beyond the end of the array");
    assert_eq!(offset("task.c"), None, "a bit field has no offset in bytes");
    assert_eq!(btf.bit_of("task.d"), Some((41, 3)));
    assert_eq!(btf.bit_of("task.c"), None, "it has three bits");
    assert_eq!(btf.bit_of("task.a"), None);
    assert_eq!(offset("task.e"), None);
    assert_eq!(offset("nobody.a"), None);
}

#[test]
fn the_size_of_a_field_is_told() {
    let btf = Btf::parse(sample()).expect("it is valid");
    let bytes = |path| btf.field(path).map(|place| place.bytes);
    assert_eq!(bytes("task.a"), Some(4));
    assert_eq!(bytes("task.b"), Some(32));
    assert_eq!(bytes("task.b[3]"), Some(8));
}

#[test]
fn a_variable_of_each_cpu_is_found() {
    let btf = Btf::parse(sample()).expect("it is valid");
    assert_eq!(btf.per_cpu_variable("here"), Some(64));
    assert_eq!(btf.per_cpu_variable("there"), None);
    assert_eq!(btf.per_cpu_variable("int"), None, "a type");
}

#[test]
fn the_arguments_of_a_tracepoint_are_told_apart() {
    let btf = Btf::parse(sample()).expect("it is valid");
    assert_eq!(btf.tracepoint_arguments("hop"), Some(vec![false, true]));
    assert_eq!(btf.tracepoint_arguments("skip"), None);
}

#[test]
fn no_damage_to_the_description_makes_the_parser_panic() {
    let intact = sample();
    for length in 0..intact.len() {
        if let Ok(btf) = Btf::parse(intact[..length].to_vec()) {
            btf.field("task.b[3]");
            btf.bit_of("task.d");
            btf.per_cpu_variable("here");
        }
    }
    for at in 0..intact.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = intact.clone();
            damaged[at] = value;
            if let Ok(btf) = Btf::parse(damaged) {
                btf.field("task.b[3]");
                btf.tracepoint_arguments("hop");
                btf.bit_of("task.d");
                btf.per_cpu_variable("here");
            }
        }
    }
}
