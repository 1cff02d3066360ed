use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of a doc comment, with its line breaks; links to items are plain.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) = &pair.value
        else {
            return None;
        };
        pair.path
            .is_ident("doc")
            .then(|| text.value().trim().to_owned())
    });
    let lines: Vec<String> = lines.collect();
    lines.join("\n").replace("[`", "`").replace("`]", "`")
}

/// The first paragraph as one line, without the full stop at its end.
pub(crate) fn first_paragraph(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.is_empty());
    let paragraph = lines.collect::<Vec<_>>().join(" ");
    paragraph.trim_end_matches('.').to_owned()
}
