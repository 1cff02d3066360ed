//! The derive macros of the readings of `collector`.
//!
//! The struct of a reading is the only place where its metric is declared:
//! name, tier, sources, and for each field number, kind, unit and meaning.
//! These macros turn it into the schema (`collector::metric::schema`) from
//! which everything else is made. They are used through `collector::metric`.

mod attributes;
mod choice;
mod docs;
mod process_counters;
mod reading;
mod record;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Record` for a struct with named fields, or for an enum whose
/// variants each hold one record.
///
/// Each field has `#[field(NUMBER)]`, and may have more in it:
///
/// | | |
/// |---|---|
/// | `counter`, `gauge`, `state`, `label`, `key` | the kind; without it, a number is a gauge, and a text, a flag or a choice is a state |
/// | `unit = "…"` | the unit, where the suffix of the name does not tell it |
/// | `kernel = "5.10"` | the minimum kernel |
/// | `backend = "ebpf"` | the only backend that knows the value |
///
/// `#[record(prefix = "…", reserved(3, 4))]` sets what the names of its
/// Prometheus series begin with, and the numbers of fields that were removed.
/// `#[field(skip)]` leaves a field out that is no data. The doc comment is the
/// meaning. `#[series("NAME", LABEL = "VALUE", help = "…")]` names the Prometheus
/// series of a number where the derived name is not the one that is wanted, and
/// `#[series(skip)]` leaves it out.
#[proc_macro_derive(Record, attributes(field, record, series, variant))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::derive(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Implements `Reading`, and `Record` as its derive macro does.
///
/// `#[metric(name = "…", tier = "hardware" | "system" | "fast", sources("…", …))]`
/// declares the metric. The first paragraph of the doc comment is its help.
/// In it may also stand `kind = "event"`, `kernel = "…"`, `prefix = "…"` (of the
/// Prometheus series), and `cut = path::to::function` (see `Reading::cut_to`).
#[proc_macro_derive(Reading, attributes(metric, field, record, series, variant))]
pub fn derive_reading(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    reading::derive(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Implements `Choice` for an enum of variants without data.
///
/// Each variant has `#[value(NUMBER)]`, from 1. Its name is that of serde.
#[proc_macro_derive(Choice, attributes(value))]
pub fn derive_choice(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    choice::derive(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Adds the counters of a process to a struct, each an `Option<u64>`, and
/// implements `HasProcessCounters`. With `io`, the bytes read and written are
/// among them; with `set`, the struct is the set itself.
///
/// The counters have the field numbers 1 to 13 in every such struct.
#[proc_macro_attribute]
pub fn process_counters(arguments: TokenStream, item: TokenStream) -> TokenStream {
    process_counters::add(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
