//! Manufacturers of SD and eMMC devices, by the manufacturer ID in the CID register.

/// eMMC manufacturer IDs, assigned by JEDEC.
const MMC: &[(u8, &str)] = &[
    (0x11, "Kioxia"),
    (0x13, "Micron"),
    (0x15, "Samsung"),
    (0x45, "SanDisk"),
    (0x70, "Kingston"),
    (0x88, "Longsys"),
    (0x90, "SK hynix"),
    (0x9b, "YMTC"),
    (0xd6, "Longsys"),
    (0xfe, "Micron"),
];

/// SD manufacturer IDs, assigned by SD-3C.
const SD: &[(u8, &str)] = &[
    (0x01, "Panasonic"),
    (0x02, "Kioxia"),
    (0x03, "SanDisk"),
    (0x09, "ATP"),
    (0x1b, "Samsung"),
    (0x1d, "ADATA"),
    (0x27, "Phison"),
    (0x28, "Lexar"),
    (0x31, "Silicon Power"),
    (0x41, "Kingston"),
    (0x5d, "Swissbit"),
    (0x74, "Transcend"),
    (0x76, "Patriot"),
    (0xad, "Longsys"),
];

/// The manufacturer with this ID (`manfid`) of a card of type `SD` or `MMC`; `None` if it
/// is unknown.
pub fn mmc_manufacturer(kind: &str, number: u64) -> Option<&'static str> {
    let table = match kind {
        "MMC" => MMC,
        "SD" | "SDcombo" => SD,
        _ => return None,
    };
    let number = u8::try_from(number).ok()?;
    let row = table.iter().find(|row| row.0 == number)?;
    Some(row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manufacturer_depends_on_the_type_of_the_card() {
        assert_eq!(mmc_manufacturer("MMC", 0x15), Some("Samsung"));
        assert_eq!(mmc_manufacturer("SD", 0x1b), Some("Samsung"));
        assert_eq!(mmc_manufacturer("SD", 0x15), None);
        assert_eq!(mmc_manufacturer("SDIO", 0x15), None);
        assert_eq!(mmc_manufacturer("MMC", 0x115), None);
    }
}
