use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, LitInt, LitStr, Result};

use crate::{docs, record::snake_case};

/// The implementation of `Choice` and `FieldValue`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(input, "a choice is an enum"));
    };
    let case = serde_text(&input.attrs, "rename_all")?.unwrap_or_default();
    let (mut infos, mut variants) = (Vec::new(), Vec::new());
    let mut numbers = Vec::new();
    for variant in &data.variants {
        let number = variant
            .attrs
            .iter()
            .find(|one| one.path().is_ident("value"));
        let number: u32 = number
            .ok_or_else(|| Error::new_spanned(variant, "#[value(NUMBER)] is missing"))?
            .parse_args::<LitInt>()?
            .base10_parse()?;
        if number == 0 || numbers.contains(&number) {
            let message = "the numbers begin with 1, and each is used once";
            return Err(Error::new_spanned(variant, message));
        }
        numbers.push(number);
        let name = match serde_text(&variant.attrs, "rename")? {
            Some(name) => name,
            None => renamed(&variant.ident.to_string(), &case)
                .ok_or_else(|| Error::new_spanned(input, "unknown rename_all"))?,
        };
        let doc = docs::text(&variant.attrs);
        infos.push(quote! {
            ::collector::metric::schema::ChoiceValue { number: #number, name: #name, doc: #doc }
        });
        variants.push(&variant.ident);
    }
    let name = &input.ident;
    let text = name.to_string();
    let doc = docs::text(&input.attrs);
    let indexes = 0..variants.len();
    Ok(quote! {
        impl ::collector::metric::schema::Choice for #name {
            const INFO: ::collector::metric::schema::ChoiceInfo =
                ::collector::metric::schema::ChoiceInfo {
                    name: #text,
                    doc: #doc,
                    values: &[#(#infos),*],
                };

            fn index(self) -> usize {
                match self {
                    #(Self::#variants => #indexes,)*
                }
            }
        }

        impl ::collector::metric::schema::FieldValue for #name {
            const TYPE: ::collector::metric::schema::ValueType =
                ::collector::metric::schema::ValueType::Choice(
                    &<Self as ::collector::metric::schema::Choice>::INFO,
                );

            fn value(&self) -> ::collector::metric::schema::Value<'_> {
                let index = ::collector::metric::schema::Choice::index(*self);
                ::collector::metric::schema::Value::Choice(
                    &<Self as ::collector::metric::schema::Choice>::INFO.values[index],
                )
            }
        }
    })
}

/// The text of `#[serde(KEY = "…")]`.
fn serde_text(attributes: &[Attribute], key: &str) -> Result<Option<String>> {
    let mut found = None;
    for attribute in attributes.iter().filter(|one| one.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| {
            let value: Option<LitStr> = if meta.input.peek(syn::Token![=]) {
                Some(meta.value()?.parse()?)
            } else {
                None
            };
            if meta.path.is_ident(key) {
                found = value.map(|value| value.value());
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// The name of a variant, as serde writes it.
fn renamed(name: &str, case: &str) -> Option<String> {
    Some(match case {
        "" => name.to_owned(),
        "lowercase" => name.to_lowercase(),
        "snake_case" => snake_case(name),
        "kebab-case" => snake_case(name).replace('_', "-"),
        _ => return None,
    })
}
