//! Escapes control characters in text that a process, a device or a tree has chosen.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// Escapes characters that control a terminal, end a line, or change the direction of
/// text, as `\n`, `\t`, `\r`, `\x1b` or `\u{202e}`.
///
/// Escaped are the control characters C0, DEL and C1, the line and paragraph separators,
/// and the format characters of Unicode (category Cf), which include the bidirectional
/// overrides. All other characters, including backslashes, stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_harmful) {
        let mut shown = String::with_capacity(text.len() + 16);
        // Writing to a string does not fail.
        let _ = Harmless(&mut shown).write_str(text);
        Cow::Owned(shown)
    } else {
        Cow::Borrowed(text)
    }
}

/// A writer that escapes as [`harmless`] does.
#[derive(Debug)]
pub struct Harmless<W>(pub W);

impl<W: Write> Write for Harmless<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, character)) = rest.char_indices().find(|(_, c)| is_harmful(*c)) {
            self.0.write_str(&rest[..at])?;
            match character {
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                '\0'..='\x7f' => write!(self.0, "\\x{:02x}", character as u32)?,
                _ => write!(self.0, "\\u{{{:x}}}", character as u32)?,
            }
            rest = &rest[at + character.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Whether [`harmless`] escapes a character.
///
/// The format characters are those of Unicode 16:
/// <https://www.unicode.org/Public/16.0.0/ucd/extracted/DerivedGeneralCategory.txt>.
pub fn is_harmful(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_character_of_c0_and_c1_is_escaped() {
        for code in (0..0x20).chain(0x7f..0xa0) {
            let character = char::from_u32(code).unwrap();
            let shown = harmless(&format!("a{character}b")).into_owned();
            assert!(
                shown.starts_with("a\\") && shown.ends_with('b'),
                "{shown:?}"
            );
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
        assert_eq!(harmless("\n\r\t\x1b[2J\x7f"), "\\n\\r\\t\\x1b[2J\\x7f");
        assert_eq!(harmless("\u{9b}31m\u{85}"), "\\u{9b}31m\\u{85}");
    }

    #[test]
    fn bidirectional_and_invisible_characters_are_escaped() {
        for character in "\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\
            \u{2068}\u{2069}\u{61c}\u{200b}\u{200d}\u{2028}\u{2029}\u{feff}\u{e0041}\u{ad}"
            .chars()
        {
            let code = character as u32;
            assert_eq!(harmless(&character.to_string()), format!("\\u{{{code:x}}}"));
        }
        assert_eq!(harmless("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
    }

    #[test]
    fn printable_text_does_not_change() {
        for text in [
            "",
            "sh -c 'a b'",
            "größe",
            "日本",
            "\\x2d",
            "\u{fffd}",
            "é🦀",
            "a\u{a0}b",
        ] {
            assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn texts_with_different_control_characters_differ() {
        assert_ne!(harmless("\x1b"), harmless("\x07"));
        assert_ne!(harmless("\u{202e}"), harmless("\u{202d}"));
    }
}
