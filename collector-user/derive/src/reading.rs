use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result};

use crate::{
    attributes::MetricAttribute,
    docs,
    record::{self, option},
};

/// The implementation of `Reading`, and of `Record`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let record = record::derive(input)?;
    let metric = MetricAttribute::of(&input.attrs)?
        .ok_or_else(|| Error::new_spanned(input, "#[metric(name = …, tier = …)] is missing"))?;
    let name = metric
        .name
        .as_ref()
        .ok_or_else(|| Error::new_spanned(input, "the name of the metric is missing"))?;
    let tier = metric
        .tier
        .as_ref()
        .ok_or_else(|| Error::new_spanned(input, "the tier of the metric is missing"))?;
    let tier = match tier.value().as_str() {
        "hardware" => quote! { ::collector::metric::Tier::Hardware },
        "system" => quote! { ::collector::metric::Tier::System },
        "fast" => quote! { ::collector::metric::Tier::Fast },
        _ => {
            let message = "the tiers are hardware, system and fast";
            return Err(Error::new_spanned(tier, message));
        }
    };
    let kind = match metric.kind.as_ref().map(syn::LitStr::value).as_deref() {
        None | Some("state") => quote! { ::collector::metric::Kind::State },
        Some("event") => quote! { ::collector::metric::Kind::Event },
        Some(_) => {
            return Err(Error::new_spanned(
                metric.kind,
                "the kinds are state and event",
            ));
        }
    };
    let help = docs::first_paragraph(&docs::text(&input.attrs));
    if help.is_empty() {
        return Err(Error::new_spanned(
            input,
            "the doc comment, which is the help, is missing",
        ));
    }
    let ident = &input.ident;
    let sources = &metric.sources;
    let kernel = option(metric.kernel.as_ref());
    let prefix = option(metric.prefix.as_ref());
    let cut = metric.cut.as_ref().map(|cut| {
        quote! {
            fn cut_to(&self, max_bytes: usize) -> ::core::option::Option<Self> {
                ::core::option::Option::Some(#cut(self, max_bytes))
            }
        }
    });
    Ok(quote! {
        #record

        impl ::collector::metric::Reading for #ident {
            const METRIC: ::collector::metric::MetricInfo = ::collector::metric::MetricInfo {
                name: #name,
                tier: #tier,
                kind: #kind,
                help: #help,
            };

            const SCHEMA: ::core::option::Option<
                &'static ::collector::metric::schema::MetricSchema,
            > = ::core::option::Option::Some(&::collector::metric::schema::MetricSchema {
                metric: &<Self as ::collector::metric::Reading>::METRIC,
                sources: &[#(#sources),*],
                minimum_kernel: #kernel,
                prefix: #prefix,
                record: &<Self as ::collector::metric::schema::Record>::INFO,
            });

            fn heap_bytes(&self) -> usize {
                ::collector::metric::schema::Record::owned_bytes(self)
            }

            fn record(&self) -> ::core::option::Option<&dyn ::collector::metric::schema::AnyRecord> {
                ::core::option::Option::Some(self)
            }

            #cut
        }
    })
}
