//! Parsers of sysfs attributes, and functions that read them.
//!
//! An attribute is a small file with one value. The attributes of a device depend on its
//! driver and the kernel, and the read of an existing one may fail, such as the speed of a
//! link that is down. So most functions return an `Option`.

mod cpu_list;
mod firmware;
mod mmc;
mod values;

pub use cpu_list::parse_cpu_list;
pub use firmware::{firmware_text, is_placeholder, parse_machine_id, parse_string_list};
pub use mmc::mmc_manufacturer;
pub use values::{
    parse_device_number, parse_hexadecimal, parse_pci_address, parse_selected, parse_size_bytes,
};

use std::{os::unix::ffi::OsStrExt as _, sync::Arc};

use super::{Tick, name_text, parse};

/// The text of an attribute, without surrounding white space; `None` if it cannot be read
/// or is empty.
pub fn text(tick: &Tick, path: &str) -> Option<Arc<str>> {
    let bytes = tick.read(path).ok()?;
    let text = parse::text(&bytes);
    (!text.is_empty()).then(|| text.into())
}

/// The number in an attribute; `None` if it cannot be read or is not a number.
pub fn number<T: std::str::FromStr>(tick: &Tick, path: &str) -> Option<T> {
    parse::number(tick.read(path).ok()?.trim_ascii())
}

/// The number in an attribute in which 0 means unknown.
pub fn nonzero<T: std::str::FromStr + Default + PartialEq>(tick: &Tick, path: &str) -> Option<T> {
    number(tick, path).filter(|number| *number != T::default())
}

/// An attribute that is 0 or 1; `None` if it cannot be read or is neither.
pub fn flag(tick: &Tick, path: &str) -> Option<bool> {
    match number::<u8>(tick, path)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// A parsed attribute; `None` if it cannot be read or parsed.
pub fn parsed<T>(tick: &Tick, path: &str, parser: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    parser(&tick.read(path).ok()?)
}

/// A list of CPUs; empty if it cannot be read or parsed.
pub fn cpu_list(tick: &Tick, path: &str) -> Vec<u32> {
    tick.parse(path, parse_cpu_list).unwrap_or_default()
}

/// The file name of a link's target, such as a driver or a device.
pub fn link_name(tick: &Tick, path: &str) -> Option<Arc<str>> {
    let target = tick.read_link(path).ok()?;
    Some(name_text(target.file_name()?.as_bytes()).into())
}

/// The value of a key in an attribute `uevent`, with lines `KEY=value`.
pub fn uevent_value<'a>(uevent: &'a [u8], key: &str) -> Option<std::borrow::Cow<'a, str>> {
    uevent
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
        .map(parse::text)
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_uevent_is_matched_exactly() {
        let uevent = b"DEVTYPEX=no\nDEVTYPE=bridge\nINTERFACE=br0\n";
        assert_eq!(uevent_value(uevent, "DEVTYPE").as_deref(), Some("bridge"));
        assert_eq!(uevent_value(uevent, "INTER"), None);
    }
}
