use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, Result, parse::Parser as _};

/// One counter of a process: this table is the only place where they stand.
struct Counter {
    name: &'static str,
    doc: &'static str,
    /// Inside of `#[field(…)]`, behind the number.
    field: &'static str,
    /// Inside of `#[series(…)]`: behind the prefix of the series.
    series: &'static str,
}

const COUNTERS: &[Counter] = &[
    Counter {
        name: "cpu_ns",
        doc: "On-CPU time.",
        field: "counter",
        series: r#""cpu_seconds_total""#,
    },
    Counter {
        name: "user_ns",
        doc: "The part of `cpu_ns` in user mode.",
        field: "counter",
        series: r#""cpu_mode_seconds_total", mode = "user", help = "On-CPU time by mode.""#,
    },
    Counter {
        name: "system_ns",
        doc: "The part of `cpu_ns` in kernel mode.",
        field: "counter",
        series: r#""cpu_mode_seconds_total", mode = "system""#,
    },
    Counter {
        name: "runqueue_ns",
        doc: "Run-queue wait: time in which a thread was runnable and waited for a CPU.",
        field: "counter",
        series: r#""runqueue_wait_seconds_total""#,
    },
    Counter {
        name: "blocked_ns",
        doc: "Off-CPU time of threads in sleep: the sum of interruptible and \
              uninterruptible sleep. That of threads that still sleep is included.",
        field: r#"counter, backend = "ebpf""#,
        series: r#""blocked_seconds_total", help = "Off-CPU time of threads in sleep.""#,
    },
    Counter {
        name: "interruptible_sleep_ns",
        doc: "The part of `blocked_ns` in interruptible sleep. Stopped, traced and parked \
              threads are included, and idle kernel threads (`I` in `/proc/PID/stat`).",
        field: r#"counter, backend = "ebpf""#,
        series: r#""sleep_seconds_total", type = "interruptible", help = "Off-CPU time of threads in sleep, by type.""#,
    },
    Counter {
        name: "uninterruptible_sleep_ns",
        doc: "The part of `blocked_ns` in uninterruptible sleep (`D` in `/proc/PID/stat`).",
        field: r#"counter, backend = "ebpf""#,
        series: r#""sleep_seconds_total", type = "uninterruptible""#,
    },
    Counter {
        name: "voluntary_switches",
        doc: "Voluntary context switches: the thread went to sleep.",
        field: "counter",
        series: r#""switches_total", reason = "voluntary", help = "Context switches by type.""#,
    },
    Counter {
        name: "involuntary_switches",
        doc: "Involuntary context switches: the thread was preempted, or yielded.",
        field: "counter",
        series: r#""switches_total", reason = "involuntary""#,
    },
    Counter {
        name: "minor_faults",
        doc: "Minor page faults: they needed no I/O.",
        field: "counter",
        series: r#""faults_total", kind = "minor", help = "Page faults: major ones needed I/O.""#,
    },
    Counter {
        name: "major_faults",
        doc: "Major page faults: they needed I/O.",
        field: "counter",
        series: r#""faults_total", kind = "major""#,
    },
    Counter {
        name: "read_bytes",
        doc: "Bytes read from storage on behalf of the process.",
        field: "counter",
        series: r#""read_bytes_total", help = "Bytes read from storage. What exited processes read is left out.""#,
    },
    Counter {
        name: "write_bytes",
        doc: "Bytes written to storage on behalf of the process.",
        field: "counter",
        series: r#""written_bytes_total", help = "Bytes written to storage. What exited processes wrote is left out.""#,
    },
];

/// The first of the counters that only `io` adds.
const FIRST_OF_IO: usize = 11;

/// Adds the fields to a struct, and the access to them.
pub(crate) fn add(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let (mut has_io, mut is_set) = (false, false);
    let parser = syn::punctuated::Punctuated::<Ident, syn::Token![,]>::parse_terminated;
    for argument in parser.parse2(arguments)? {
        match argument.to_string().as_str() {
            "io" => has_io = true,
            "set" => (has_io, is_set) = (true, true),
            _ => return Err(Error::new_spanned(argument, "io and set are known")),
        }
    }
    let mut input: DeriveInput = syn::parse2(item)?;
    let name = input.ident.clone();
    let Data::Struct(data) = &mut input.data else {
        return Err(Error::new_spanned(&input, "counters are added to a struct"));
    };
    let Fields::Named(fields) = &mut data.fields else {
        return Err(Error::new_spanned(&input.ident, "the fields need names"));
    };
    let count = if has_io { COUNTERS.len() } else { FIRST_OF_IO };
    let counters = COUNTERS.get(..count).unwrap_or_default();
    for (index, counter) in counters.iter().enumerate() {
        fields.named.push(field(index + 1, counter)?);
    }
    let known: Vec<Ident> = counters
        .iter()
        .map(|one| format_ident!("{}", one.name))
        .collect();
    let mut output = quote! {
        #input

        impl ::collector::metric::HasProcessCounters for #name {
            fn process_counters(&self) -> ::collector::metric::ProcessCounters {
                #[allow(clippy::needless_update, reason = "not every struct has all of them")]
                ::collector::metric::ProcessCounters {
                    #(#known: self.#known,)*
                    ..::collector::metric::ProcessCounters::UNKNOWN
                }
            }

            fn set_process_counters(&mut self, counters: &::collector::metric::ProcessCounters) {
                #(self.#known = counters.#known;)*
            }
        }
    };
    if is_set {
        output.extend(quote! {
            impl #name {
                /// Combines each counter with that of another set.
                #[must_use]
                pub fn zip(
                    self,
                    other: Self,
                    combine: impl Fn(Option<u64>, Option<u64>) -> Option<u64>,
                ) -> Self {
                    Self { #(#known: combine(self.#known, other.#known),)* }
                }

                /// The set that has no value.
                pub const UNKNOWN: Self = Self { #(#known: None,)* };

                /// How many counters there are.
                pub const COUNT: usize = #count;

                /// The values, in the order of the fields.
                pub const fn values(&self) -> [Option<u64>; Self::COUNT] {
                    [#(self.#known),*]
                }

                /// The set with these values, in the order of the fields.
                pub const fn from_values(values: [Option<u64>; Self::COUNT]) -> Self {
                    let [#(#known),*] = values;
                    Self { #(#known),* }
                }
            }
        });
    }
    Ok(output)
}

fn field(number: usize, counter: &Counter) -> Result<Field> {
    let name = format_ident!("{}", counter.name);
    let number = syn::LitInt::new(&number.to_string(), proc_macro2::Span::call_site());
    let field: TokenStream = counter.field.parse()?;
    let series: TokenStream = counter.series.parse()?;
    let doc = counter.doc;
    Field::parse_named.parse2(quote! {
        #[doc = #doc]
        #[field(#number, #field)]
        #[series(#series)]
        pub #name: ::core::option::Option<u64>
    })
}
