//! The encoding of BTF: `include/uapi/linux/btf.h`.

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const KIND_INT: u32 = 1;
pub(super) const KIND_PTR: u32 = 2;
pub(super) const KIND_ARRAY: u32 = 3;
pub(super) const KIND_STRUCT: u32 = 4;
pub(super) const KIND_UNION: u32 = 5;
pub(super) const KIND_ENUM: u32 = 6;
pub(super) const KIND_TYPEDEF: u32 = 8;
pub(super) const KIND_VOLATILE: u32 = 9;
pub(super) const KIND_CONST: u32 = 10;
pub(super) const KIND_RESTRICT: u32 = 11;
pub(super) const KIND_FUNC_PROTO: u32 = 13;
pub(super) const KIND_VAR: u32 = 14;
pub(super) const KIND_DATASEC: u32 = 15;
pub(super) const KIND_FLOAT: u32 = 16;
pub(super) const KIND_DECL_TAG: u32 = 17;
pub(super) const KIND_TYPE_TAG: u32 = 18;
pub(super) const KIND_ENUM64: u32 = 19;

/// One type: its header, and where the data after the header starts.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) name: u32,
    pub(super) kind: u32,
    /// Whether the offsets of members include the sizes of bit fields.
    pub(super) kind_flag: bool,
    pub(super) count: u32,
    pub(super) size_or_type: u32,
    pub(super) rest: usize,
}

impl Type {
    /// The type that starts at an offset.
    pub(super) fn at(data: &[u8], at: usize) -> Option<Self> {
        let info = u32_at(data, at.checked_add(4)?)?;
        Some(Self {
            name: u32_at(data, at)?,
            kind: (info >> 24) & 0x1f,
            kind_flag: info >> 31 != 0,
            count: info & 0xffff,
            size_or_type: u32_at(data, at + 8)?,
            rest: at + 12,
        })
    }

    /// Where the next type starts; `None` if the kind is unknown.
    pub(super) fn end(&self) -> Option<usize> {
        let count = self.count as usize;
        let extra = match self.kind {
            KIND_PTR | 7..=12 | KIND_FLOAT | KIND_TYPE_TAG => 0,
            KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
            KIND_ARRAY => 12,
            KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => count * 12,
            KIND_ENUM | KIND_FUNC_PROTO => count * 8,
            _ => return None,
        };
        self.rest.checked_add(extra)
    }
}

pub(super) fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(
        data.get(at..at.checked_add(2)?)?.try_into().ok()?,
    ))
}

pub(super) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(
        data.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}
