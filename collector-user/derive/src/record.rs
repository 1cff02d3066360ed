use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Error, Field, Fields, FieldsNamed, Ident, Result, Type};

use crate::{
    attributes::{FieldAttribute, RecordAttribute, SeriesAttribute},
    docs,
};

/// The implementation of `Record` and `FieldValue`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let body = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => of_struct(fields)?,
            _ => return Err(Error::new_spanned(input, "the fields need names")),
        },
        Data::Enum(data) => of_enum(data)?,
        Data::Union(_) => return Err(Error::new_spanned(input, "a union is no record")),
    };
    let Body {
        is_one_of,
        infos,
        values,
        owned,
        counters,
    } = body;
    let name = &input.ident;
    let text = name.to_string();
    let doc = docs::text(&input.attrs);
    let attribute = RecordAttribute::of(&input.attrs)?;
    let prefix = option(attribute.prefix.as_ref());
    let reserved = &attribute.reserved;
    Ok(quote! {
        impl ::collector::metric::schema::Record for #name {
            const INFO: ::collector::metric::schema::RecordInfo =
                ::collector::metric::schema::RecordInfo {
                    name: #text,
                    doc: #doc,
                    prefix: #prefix,
                    reserved: &[#(#reserved),*],
                    is_one_of: #is_one_of,
                    fields: &[#(#infos),*],
                };

            fn value(&self, index: usize) -> ::collector::metric::schema::Value<'_> {
                #values
            }

            fn owned_bytes(&self) -> usize {
                #owned
            }

            fn visit_counters_mut(
                &mut self,
                visit: &mut dyn FnMut(usize, &mut ::core::option::Option<u64>),
            ) {
                #counters
            }
        }

        impl ::collector::metric::schema::FieldValue for #name {
            const TYPE: ::collector::metric::schema::ValueType =
                ::collector::metric::schema::ValueType::Record(
                    &<Self as ::collector::metric::schema::Record>::INFO,
                );

            fn value(&self) -> ::collector::metric::schema::Value<'_> {
                ::collector::metric::schema::Value::Record(self)
            }

            fn owned_bytes(&self) -> usize {
                ::collector::metric::schema::Record::owned_bytes(self)
            }
        }
    })
}

struct Body {
    is_one_of: bool,
    infos: Vec<TokenStream>,
    values: TokenStream,
    owned: TokenStream,
    counters: TokenStream,
}

fn of_struct(fields: &FieldsNamed) -> Result<Body> {
    let mut infos = Vec::new();
    let mut names: Vec<&Ident> = Vec::new();
    let mut counters = Vec::new();
    let mut numbers = BTreeMap::new();
    for field in &fields.named {
        let Some(name) = &field.ident else { continue };
        let attribute = FieldAttribute::of(&field.attrs, "field")?.ok_or_else(|| {
            Error::new_spanned(field, "the number of the field is missing: #[field(1)]")
        })?;
        let Some(number) = attribute.number else {
            continue;
        };
        if let Some(other) = numbers.insert(number, name) {
            let message = format!("the number {number} is that of `{other}`");
            return Err(Error::new_spanned(field, message));
        }
        if attribute.kind.as_deref() == Some("counter") && is_optional_u64(&field.ty) {
            let index = infos.len();
            counters.push(quote! { visit(#index, &mut self.#name); });
        }
        infos.push(info(field, name, number, &attribute)?);
        names.push(name);
    }
    let indexes = 0..names.len();
    Ok(Body {
        is_one_of: false,
        infos,
        values: quote! {
            match index {
                #(#indexes => ::collector::metric::schema::FieldValue::value(&self.#names),)*
                _ => ::collector::metric::schema::Value::Null,
            }
        },
        owned: quote! {
            0 #(+ ::collector::metric::schema::FieldValue::owned_bytes(&self.#names))*
        },
        counters: if counters.is_empty() {
            quote! { let _ = visit; }
        } else {
            quote! { #(#counters)* }
        },
    })
}

/// Each variant holds a record: at most one of the fields has a value.
fn of_enum(data: &DataEnum) -> Result<Body> {
    let mut infos = Vec::new();
    let mut variants = Vec::new();
    for variant in &data.variants {
        let attribute = FieldAttribute::of(&variant.attrs, "variant")?.ok_or_else(|| {
            Error::new_spanned(
                variant,
                "the number of the variant is missing: #[variant(1)]",
            )
        })?;
        let number = attribute.number.unwrap_or_default();
        let Fields::Unnamed(fields) = &variant.fields else {
            return Err(Error::new_spanned(variant, "a variant holds one record"));
        };
        let Some(field) = fields.unnamed.first().filter(|_| fields.unnamed.len() == 1) else {
            return Err(Error::new_spanned(variant, "a variant holds one record"));
        };
        let ty = &field.ty;
        let text = snake_case(&variant.ident.to_string());
        let doc = docs::text(&variant.attrs);
        infos.push(quote! {
            ::collector::metric::schema::FieldInfo::of_variant::<#ty>(#number, #text, #doc)
        });
        variants.push(&variant.ident);
    }
    let indexes = 0..variants.len();
    Ok(Body {
        is_one_of: true,
        infos,
        values: quote! {
            match (index, self) {
                #((#indexes, Self::#variants(record)) => {
                    ::collector::metric::schema::FieldValue::value(record)
                })*
                _ => ::collector::metric::schema::Value::Null,
            }
        },
        owned: quote! {
            match self {
                #(Self::#variants(record) => {
                    ::collector::metric::schema::FieldValue::owned_bytes(record)
                })*
            }
        },
        counters: quote! { let _ = visit; },
    })
}

fn info(
    field: &Field,
    name: &Ident,
    number: u32,
    attribute: &FieldAttribute,
) -> Result<TokenStream> {
    let ty = &field.ty;
    let text = name.to_string();
    let doc = docs::text(&field.attrs);
    if doc.is_empty() {
        return Err(Error::new_spanned(
            field,
            "the doc comment, which is the meaning, is missing",
        ));
    }
    let schema = quote! { ::collector::metric::schema };
    let kind = match attribute.kind.as_deref() {
        Some("counter") => quote! { ::core::option::Option::Some(#schema::FieldKind::Counter) },
        Some("gauge") => quote! { ::core::option::Option::Some(#schema::FieldKind::Gauge) },
        Some("state") => quote! { ::core::option::Option::Some(#schema::FieldKind::State) },
        Some("label") => quote! { ::core::option::Option::Some(#schema::FieldKind::Label) },
        Some("key") => quote! { ::core::option::Option::Some(#schema::FieldKind::Key) },
        _ => quote! { ::core::option::Option::None },
    };
    let unit = option(attribute.unit.as_ref());
    let kernel = option(attribute.kernel.as_ref());
    let backend = match &attribute.backend {
        Some(name) if name.value() == "ebpf" => {
            quote! { ::core::option::Option::Some(::collector::metric::Backend::Ebpf) }
        }
        Some(name) if name.value() == "procfs" => {
            quote! { ::core::option::Option::Some(::collector::metric::Backend::Procfs) }
        }
        Some(name) => return Err(Error::new_spanned(name, "the backends are ebpf and procfs")),
        None => quote! { ::core::option::Option::None },
    };
    let series = match SeriesAttribute::of(&field.attrs)? {
        None => quote! { #schema::SeriesRule::Derived },
        Some(series) if series.is_skipped => quote! { #schema::SeriesRule::Skipped },
        Some(series) => {
            let name = option(series.name.as_ref());
            let help = option(series.help.as_ref());
            let label = series.label.as_ref();
            let label = option(
                label
                    .map(|(label, value)| quote! { (#label, #value) })
                    .as_ref(),
            );
            quote! { #schema::SeriesRule::Named { name: #name, label: #label, help: #help } }
        }
    };
    Ok(quote! {
        #schema::FieldInfo::of::<#ty>(
            #number,
            #text,
            #doc,
            #schema::Declared {
                kind: #kind,
                unit: #unit,
                minimum_kernel: #kernel,
                backend: #backend,
                series: #series,
            },
        )
    })
}

pub(crate) fn option<T: quote::ToTokens>(value: Option<&T>) -> TokenStream {
    value.map_or_else(
        || quote! { ::core::option::Option::None },
        |value| quote! { ::core::option::Option::Some(#value) },
    )
}

fn is_optional_u64(ty: &Type) -> bool {
    let text = quote!(#ty).to_string().replace(' ', "");
    text.trim_start_matches("::core::option::") == "Option<u64>"
}

/// `CpuTimes` as `cpu_times`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}
