use std::borrow::Cow;

/// The text of a file name, such as that of a network interface, a cgroup or a device,
/// which may contain any byte but NUL and `/`.
///
/// A byte that is not part of a UTF-8 character becomes `\xNN`, as in the output of
/// `ls -b` and in unit names of systemd. A backslash becomes `\x5c` if `x5c` or `x80` to
/// `xff` follows, and else stays. So `dev-disk\x2duuid.device` does not change, different
/// names have different texts, and [`name_bytes`] is the inverse.
///
/// Control characters stay; whatever prints a name escapes them with
/// [`harmless`](crate::text::harmless).
pub fn name_text(name: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(name)
        && !text.bytes().enumerate().any(|(at, _)| is_escape(name, at))
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(name.len() + 8);
    let mut done = 0;
    for chunk in name.utf8_chunks() {
        for (at, character) in chunk.valid().char_indices() {
            if is_escape(name, done + at) {
                text.push_str("\\x5c");
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str("\\x");
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        done += chunk.valid().len() + chunk.invalid().len();
    }
    Cow::Owned(text)
}

/// The bytes of a name or path from its [`name_text`].
pub fn name_bytes(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'\\') {
        return Cow::Borrowed(bytes);
    }
    let mut name = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if let Some(byte) = escaped(bytes, at) {
            name.push(byte);
            at += 4;
        } else {
            name.push(bytes[at]);
            at += 1;
        }
    }
    Cow::Owned(name)
}

fn is_escape(bytes: &[u8], at: usize) -> bool {
    escaped(bytes, at).is_some()
}

/// The byte of the escape of [`name_text`] at `at`, if there is one.
fn escaped(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'\\', b'x', high, low] = bytes.get(at..at + 4)? else {
        return None;
    };
    // `name_text` writes lower case only.
    let value = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let byte = value(high)? << 4 | value(low)?;
    (byte >= 0x80 || byte == b'\\').then_some(byte)
}

fn digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value & 15)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_escaped_and_restored() {
        assert_eq!(name_text(b"\xff\xfebr"), "\\xff\\xfebr");
        assert_eq!(&*name_bytes("\\xff\\xfebr"), b"\xff\xfebr");
        assert_eq!(name_text("größe".as_bytes()), "größe");
        assert_eq!(name_text(b"a\xc3"), "a\\xc3");
    }

    #[test]
    fn a_name_that_looks_like_an_escape_differs_from_the_byte() {
        assert_eq!(name_text(b"\\xff"), "\\x5cxff");
        assert_ne!(name_text(b"\\xff"), name_text(b"\xff"));
        assert_ne!(name_text(b"\\x5cxff"), name_text(b"\\xff"));
    }

    #[test]
    fn unit_names_of_systemd_do_not_change() {
        let name = b"dev-disk-by\\x2duuid-a\\x20b.device";
        assert!(matches!(name_text(name), Cow::Borrowed(_)));
        assert_eq!(&*name_bytes(str::from_utf8(name).unwrap()), name);
    }

    const PARTS: &[&[u8]] = &[
        b"\\", b"x", b"5c", b"f", b"8", b"c3", b"\xff", b"\xc3", b"\xa4", b"F",
    ];

    proptest! {
        #[test]
        fn every_name_is_restored_from_its_text(name: Vec<u8>) {
            let text = name_text(&name);
            prop_assert_eq!(&*name_bytes(&text), &name[..]);
        }

        #[test]
        fn every_name_with_escapes_is_restored_from_its_text(
            parts in prop::collection::vec(
                prop::sample::select(PARTS),
                0..12,
            )
        ) {
            let name = parts.concat();
            let text = name_text(&name);
            prop_assert_eq!(&*name_bytes(&text), &name[..]);
        }
    }
}
