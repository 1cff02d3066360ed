use syn::ext::IdentExt as _;
use syn::{Attribute, LitInt, LitStr, Result, meta::ParseNestedMeta};

/// What `#[field(…)]` says.
#[derive(Default)]
pub(crate) struct FieldAttribute {
    pub(crate) number: Option<u32>,
    pub(crate) is_skipped: bool,
    pub(crate) kind: Option<String>,
    pub(crate) unit: Option<LitStr>,
    pub(crate) kernel: Option<LitStr>,
    pub(crate) backend: Option<LitStr>,
}

/// What `#[series(…)]` says.
#[derive(Default)]
pub(crate) struct SeriesAttribute {
    pub(crate) is_skipped: bool,
    pub(crate) name: Option<LitStr>,
    pub(crate) label: Option<(String, LitStr)>,
    pub(crate) help: Option<LitStr>,
}

const KINDS: [&str; 5] = ["counter", "gauge", "state", "label", "key"];

impl FieldAttribute {
    pub(crate) fn of(attributes: &[Attribute], name: &str) -> Result<Option<Self>> {
        let Some(attribute) = attributes.iter().find(|one| one.path().is_ident(name)) else {
            return Ok(None);
        };
        let mut found = Self::default();
        attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
            while !input.is_empty() {
                if input.peek(LitInt) {
                    found.number = Some(input.parse::<LitInt>()?.base10_parse()?);
                } else {
                    let key: syn::Ident = input.parse()?;
                    let text = key.to_string();
                    if KINDS.contains(&text.as_str()) {
                        found.kind = Some(text);
                    } else if text == "skip" {
                        found.is_skipped = true;
                    } else {
                        input.parse::<syn::Token![=]>()?;
                        let value = Some(input.parse::<LitStr>()?);
                        match text.as_str() {
                            "unit" => found.unit = value,
                            "kernel" => found.kernel = value,
                            "backend" => found.backend = value,
                            _ => return Err(syn::Error::new(key.span(), "unknown attribute")),
                        }
                    }
                }
                if !input.is_empty() {
                    input.parse::<syn::Token![,]>()?;
                }
            }
            Ok(())
        })?;
        if found.number.is_none() && !found.is_skipped {
            return Err(syn::Error::new_spanned(
                attribute,
                "the number of the field is missing: #[field(1)]",
            ));
        }
        Ok(Some(found))
    }
}

impl SeriesAttribute {
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Option<Self>> {
        let Some(attribute) = attributes.iter().find(|one| one.path().is_ident("series")) else {
            return Ok(None);
        };
        let mut found = Self::default();
        attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
            while !input.is_empty() {
                if input.peek(LitStr) {
                    found.name = Some(input.parse()?);
                } else {
                    // `type` is a label, and a keyword.
                    let key = syn::Ident::parse_any(input)?;
                    if key == "skip" {
                        found.is_skipped = true;
                    } else {
                        input.parse::<syn::Token![=]>()?;
                        let value = input.parse::<LitStr>()?;
                        if key == "help" {
                            found.help = Some(value);
                        } else {
                            found.label = Some((key.to_string(), value));
                        }
                    }
                }
                if !input.is_empty() {
                    input.parse::<syn::Token![,]>()?;
                }
            }
            Ok(())
        })?;
        Ok(Some(found))
    }
}

/// What `#[metric(…)]` says.
#[derive(Default)]
pub(crate) struct MetricAttribute {
    pub(crate) name: Option<LitStr>,
    pub(crate) tier: Option<LitStr>,
    pub(crate) kind: Option<LitStr>,
    pub(crate) kernel: Option<LitStr>,
    pub(crate) sources: Vec<LitStr>,
    pub(crate) prefix: Option<LitStr>,
    pub(crate) cut: Option<syn::Path>,
}

impl MetricAttribute {
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Option<Self>> {
        let Some(attribute) = attributes.iter().find(|one| one.path().is_ident("metric")) else {
            return Ok(None);
        };
        let mut found = Self::default();
        attribute.parse_nested_meta(|meta| found.take(&meta))?;
        Ok(Some(found))
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(key) = meta.path.get_ident() else {
            return Err(meta.error("a name is expected here"));
        };
        match key.to_string().as_str() {
            "sources" => {
                let list;
                syn::parenthesized!(list in meta.input);
                let list =
                    list.parse_terminated(<LitStr as syn::parse::Parse>::parse, syn::Token![,])?;
                self.sources = list.into_iter().collect();
            }
            "cut" => self.cut = Some(meta.value()?.parse()?),
            "name" => self.name = Some(meta.value()?.parse()?),
            "tier" => self.tier = Some(meta.value()?.parse()?),
            "kind" => self.kind = Some(meta.value()?.parse()?),
            "kernel" => self.kernel = Some(meta.value()?.parse()?),
            "prefix" => self.prefix = Some(meta.value()?.parse()?),
            _ => return Err(meta.error("unknown attribute")),
        }
        Ok(())
    }
}

/// What `#[record(…)]` says.
#[derive(Default)]
pub(crate) struct RecordAttribute {
    pub(crate) prefix: Option<LitStr>,
    pub(crate) reserved: Vec<LitInt>,
}

impl RecordAttribute {
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes
            .iter()
            .filter(|one| one.path().is_ident("record"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("prefix") {
                    found.prefix = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("reserved") {
                    let list;
                    syn::parenthesized!(list in meta.input);
                    let list = list
                        .parse_terminated(<LitInt as syn::parse::Parse>::parse, syn::Token![,])?;
                    found.reserved = list.into_iter().collect();
                } else {
                    return Err(meta.error("unknown attribute"));
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}
