use crate::source::parse;

/// The selected value, in brackets, of a list: `none [kyber] bfq`. A list of one word, as
/// on some old kernels, is that word.
pub fn parse_selected(bytes: &[u8]) -> Option<String> {
    let mut words = parse::words(bytes);
    let selected = parse::words(bytes)
        .find_map(|word| word.strip_prefix(b"[")?.strip_suffix(b"]"))
        .or_else(|| words.next().filter(|_| words.next().is_none()))?;
    Some(parse::text(selected).into_owned())
}

/// The size of a cache: `48K`, `32768K`, `2M`.
pub fn parse_size_bytes(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.trim_ascii();
    let (digits, unit) = match bytes.split_last()? {
        (b'K', digits) => (digits, 1024),
        (b'M', digits) => (digits, 1024 * 1024),
        _ => (bytes, 1),
    };
    parse::number::<u64>(digits)?.checked_mul(unit)
}

/// The major and minor number of a device: `254:0`.
pub fn parse_device_number(bytes: &[u8]) -> Option<(u32, u32)> {
    let bytes = bytes.trim_ascii();
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    Some((
        parse::number(&bytes[..colon])?,
        parse::number(&bytes[colon + 1..])?,
    ))
}

/// A hexadecimal number with the prefix `0x`: `0x1003`.
pub fn parse_hexadecimal(bytes: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(bytes.trim_ascii())
        .ok()?
        .strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

/// The last PCI address (domain:bus:device.function, `0000:02:00.0`) in a path of
/// `/sys/devices`: that of the device or of its controller.
pub fn parse_pci_address(path: &str) -> Option<&str> {
    let is_address = |part: &&str| {
        let mut fields = part.split([':', '.']);
        let mut hexadecimal = |from: usize, to: usize| {
            fields.next().is_some_and(|field| {
                (from..=to).contains(&field.len())
                    && field.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        };
        part.matches(':').count() == 2
            && hexadecimal(4, 8)
            && hexadecimal(2, 2)
            && hexadecimal(2, 2)
            && hexadecimal(1, 1)
            && fields.next().is_none()
    };
    path.split('/').rfind(is_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_value_is_in_brackets() {
        assert_eq!(
            parse_selected(b"none [mq-deadline] bfq \n").as_deref(),
            Some("mq-deadline")
        );
        assert_eq!(parse_selected(b"none\n").as_deref(), Some("none"));
        assert_eq!(parse_selected(b"a b\n"), None);
        assert_eq!(parse_selected(b""), None);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size_bytes(b"48K\n"), Some(48 * 1024));
        assert_eq!(parse_size_bytes(b"2M"), Some(2 * 1024 * 1024));
        assert_eq!(parse_size_bytes(b"K"), None);
        assert_eq!(parse_size_bytes(b"18446744073709551615M"), None);
        assert_eq!(parse_size_bytes(b""), None);
    }

    #[test]
    fn the_nearest_pci_address_is_found() {
        assert_eq!(
            parse_pci_address("../devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1"),
            Some("0000:02:00.0")
        );
        assert_eq!(
            parse_pci_address("../../devices/pci10000:e0/10000:e0:06.0/net/x"),
            Some("10000:e0:06.0")
        );
        assert_eq!(parse_pci_address("../devices/virtual/block/loop0"), None);
        assert_eq!(parse_pci_address("a/b:c:d.e/0000:00"), None);
    }

    #[test]
    fn invalid_device_numbers_and_hexadecimal_numbers_are_unknown() {
        assert_eq!(parse_device_number(b"259:12\n"), Some((259, 12)));
        assert_eq!(parse_device_number(b"259"), None);
        assert_eq!(parse_hexadecimal(b"0x1003\n"), Some(0x1003));
        assert_eq!(parse_hexadecimal(b"1003\n"), None);
    }
}
