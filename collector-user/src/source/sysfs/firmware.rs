//! Texts of firmware, and placeholders that mean unknown.

use std::sync::Arc;

use super::text;
use crate::source::{Tick, parse};

/// Placeholders in SMBIOS tables, compared without case, surrounding white space and
/// trailing dots.
const PLACEHOLDERS: &[&str] = &[
    "base board manufacturer",
    "base board product name",
    "base board version",
    "board manufacturer",
    "board name",
    "board product name",
    "board version",
    "chassis manufacturer",
    "chassis version",
    "default",
    "default string",
    "default_string",
    "empty",
    "fill by oem",
    "filled by oem",
    "invalid",
    "manufacturer",
    "n/a",
    "na",
    "no asset tag",
    "none",
    "not applicable",
    "not available",
    "not defined",
    "not present",
    "not provided",
    "not set",
    "not specified",
    "null",
    "o.e.m",
    "oem",
    "product name",
    "product version",
    "reserved",
    "serial number",
    "sku",
    "system manufacturer",
    "system name",
    "system product name",
    "system serial number",
    "system sku",
    "system vendor",
    "system version",
    "tbd",
    "to be filled",
    "to be filled by o.e.m",
    "to be filled by oem",
    "to be filled by vendor",
    "type1productconfigid",
    "undefined",
    "uninitialized",
    "unknown",
    "unspecified",
    "version",
];

/// Whether a text of firmware or of a device means unknown: a placeholder, only
/// punctuation, zeros or `x`, or ascending digits.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.trim().trim_end_matches('.').trim_end().to_lowercase();
    PLACEHOLDERS.contains(&text.as_str())
        || text.starts_with("type2 - board ")
        || text
            .chars()
            .all(|c| !c.is_alphanumeric() || c == '0' || c == 'x')
        || is_all_ones(&text)
        || is_ascending(&text)
}

/// Erased flash memory: all bits are set.
fn is_all_ones(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits.len() >= 8 && digits.bytes().all(|byte| byte == b'f')
}

/// `0123456789`, `123456789`, `1234567890`, `12345678`.
fn is_ascending(text: &str) -> bool {
    let digits = text.as_bytes();
    digits.len() >= 6
        && digits.iter().all(u8::is_ascii_digit)
        && digits
            .windows(2)
            .all(|pair| (pair[0] - b'0' + 1) % 10 == pair[1] - b'0')
}

/// The text of an attribute; `None` if it cannot be read, is empty or is a placeholder.
pub fn firmware_text(tick: &Tick, path: &str) -> Option<Arc<str>> {
    text(tick, path).filter(|text| !is_placeholder(text))
}

/// The NUL-terminated strings of a device tree property.
/// <https://docs.kernel.org/devicetree/usage-model.html#platform-identification>
pub fn parse_string_list(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|&byte| byte == 0)
        .map(|entry| parse::text(entry).into_owned())
        .filter(|entry| !entry.is_empty())
        .collect()
}

/// The machine ID of `/etc/machine-id`: 32 hexadecimal digits. `None` for `uninitialized`,
/// the content during the first boot, and for IDs of only zeros or `f`, which images may
/// contain: machine-id(5).
pub fn parse_machine_id(bytes: &[u8]) -> Option<String> {
    let id = parse::text(bytes);
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_one_digit = |digit: char| id.chars().all(|c| c.eq_ignore_ascii_case(&digit));
    (is_id && !is_one_digit('0') && !is_one_digit('f')).then(|| id.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_vendors_are_recognized() {
        for text in [
            "To be filled by O.E.M.",
            "To Be Filled By O.E.M",
            "Default string",
            "Not Specified",
            "Not Available",
            "None",
            "N/A",
            "System Product Name",
            "System manufacturer",
            "0123456789",
            "123456789",
            "1234567890",
            "xxxx",
            "X.X",
            "........",
            "Unknown",
            "INVALID",
            "   ",
            "",
            "-",
            "00000000",
            "0x00000000",
            "00/00/0000",
            "FFFFFFFFFFFFFFFF",
            "0xffffffff",
            "\u{fffd}\u{fffd}\u{fffd}",
            "O.E.M.",
            "Type2 - Board Product Name1",
            "Undefined",
            "Empty",
        ] {
            assert!(is_placeholder(text), "{text:?}");
        }
    }

    #[test]
    fn a_real_text_is_not_a_placeholder() {
        for text in [
            "Dell Inc.",
            "PowerEdge R740",
            "X11DPi-N",
            "XPS 13",
            "1.0",
            "2.10.2",
            "01/31/2026",
            "MS-7B98",
            "10",
            "12345",
            "S4EVNX0R123456",
            "None Such Computers",
            "F20",
            "fff",
        ] {
            assert!(!is_placeholder(text), "{text:?}");
        }
    }

    #[test]
    fn a_device_tree_property_is_a_list_of_strings() {
        assert_eq!(
            parse_string_list(b"xen,xen-4.17\0xen,xen\0"),
            ["xen,xen-4.17", "xen,xen"]
        );
        assert_eq!(parse_string_list(b"linux,kvm"), ["linux,kvm"]);
        assert!(parse_string_list(b"\0\0 \0").is_empty());
    }

    #[test]
    fn an_uninitialized_machine_id_is_none() {
        let id = |text: &str| parse_machine_id(text.as_bytes());
        let given = "0123456789abcdef0123456789abcdef";
        assert_eq!(id(&format!("{given}\n")).as_deref(), Some(given));
        for text in [
            String::new(),
            "\n".to_owned(),
            "uninitialized\n".to_owned(),
            "0".repeat(32),
            "f".repeat(32),
            "F".repeat(32),
            given[..31].to_owned(),
            "not hexadecimal digits, 32 bytes".to_owned(),
        ] {
            assert_eq!(id(&text), None, "{text:?}");
        }
    }
}
