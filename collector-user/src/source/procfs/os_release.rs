//! `/etc/os-release`: the distribution.

use std::sync::Arc;

use crate::{metric::OperatingSystem, source::parse};

/// Parses os-release(5): lines `NAME=value`, the value quoted as in a shell.
/// <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>
pub fn parse(bytes: &[u8]) -> OperatingSystem {
    let mut os = OperatingSystem::default();
    for (_, line) in parse::lines(bytes) {
        let Some(equals) = line.iter().position(|&byte| byte == b'=') else {
            continue;
        };
        let value = || Some(unquoted(&parse::text(&line[equals + 1..])));
        match &line[..equals] {
            b"ID" => os.id = value(),
            b"VERSION_ID" => os.version_id = value(),
            b"PRETTY_NAME" => os.pretty_name = value(),
            _ => {}
        }
    }
    os
}

fn unquoted(value: &str) -> Arc<str> {
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = quoted('\'') {
        return literal.into();
    }
    let value = quoted('"').unwrap_or(value);
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_or_in_single_or_double_quotes() {
        let os = parse(b"ID=debian\nVERSION_ID='13'\nPRETTY_NAME=\"A \\\"B\\\" \\$C\"\nX\n");
        assert_eq!(os.id.as_deref(), Some("debian"));
        assert_eq!(os.version_id.as_deref(), Some("13"));
        assert_eq!(os.pretty_name.as_deref(), Some("A \"B\" $C"));
    }

    #[test]
    fn an_unmatched_quote_does_not_panic() {
        let os = parse(b"ID=\"\nVERSION_ID='\nPRETTY_NAME=\\\n");
        assert_eq!(os.id.as_deref(), Some("\""));
        assert_eq!(os.pretty_name.as_deref(), Some(""));
    }
}
