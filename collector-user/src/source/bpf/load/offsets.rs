use collector_ebpf::{ABSENT, OFFSETS};

use super::{LoadError, MissingField, btf::Btf};

/// The offset in an instruction is a signed integer of two bytes.
const MAX_OFFSET: u32 = i16::MAX as u32;

/// The offsets of the fields that the programs read, in the order of
/// [`collector_ebpf::Offsets`].
#[derive(Debug)]
pub(crate) struct KernelOffsets {
    /// The value of the global `FIELD_OFFSETS`, which is also written into the
    /// instructions that read a field.
    pub(crate) words: Vec<u32>,
    /// The fields that this kernel does not have.
    pub(crate) missing: Vec<MissingField>,
}

impl KernelOffsets {
    /// Finds all fields.
    ///
    /// # Errors
    ///
    /// If a required field is missing.
    pub(crate) fn resolve(btf: &Btf, pretend_missing: &[String]) -> Result<Self, LoadError> {
        let mut words = Vec::with_capacity(OFFSETS.len());
        let mut missing = Vec::new();
        for field in OFFSETS {
            let found = field
                .paths
                .iter()
                .filter(|path| !pretend_missing.iter().any(|name| name == *path))
                .filter_map(|path| btf.field(path))
                .find(|found| found.bytes >= field.bytes && found.offset <= MAX_OFFSET)
                .map(|found| found.offset);
            words.push(found.unwrap_or(ABSENT));
            if found.is_none() {
                let field_name = field.paths.join(" or ");
                let Some(feeds) = field.feeds else {
                    return Err(LoadError::MissingField(field_name));
                };
                missing.push(MissingField {
                    field: field_name,
                    feeds,
                });
            }
        }
        Ok(Self { words, missing })
    }

    /// Whether this kernel has the field with this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        OFFSETS
            .iter()
            .zip(&self.words)
            .any(|(field, &offset)| offset != ABSENT && field.paths.contains(&path))
    }
}
