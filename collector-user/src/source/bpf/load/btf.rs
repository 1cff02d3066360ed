//! BTF of the kernel, as far as it is needed to find the offset of a field.
//!
//! Format: <https://docs.kernel.org/bpf/btf.html>. Aya parses it too, but does
//! not expose the offsets of members.

use crate::source::read_kernel_file;

mod encoding;
#[cfg(test)]
mod tests;

use encoding::{
    KIND_ARRAY, KIND_CONST, KIND_DATASEC, KIND_ENUM, KIND_ENUM64, KIND_FLOAT, KIND_FUNC_PROTO,
    KIND_INT, KIND_PTR, KIND_RESTRICT, KIND_STRUCT, KIND_TYPE_TAG, KIND_TYPEDEF, KIND_UNION,
    KIND_VAR, KIND_VOLATILE, MAGIC, Type, u16_at, u32_at,
};

/// The BTF of the running kernel: since 5.4, with `CONFIG_DEBUG_INFO_BTF`.
pub(crate) const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The most typedefs and qualifiers that are followed, and the depth to which
/// anonymous members are searched: more than any kernel has.
const DEPTH_MAX: u32 = 32;

/// The BTF of the kernel cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BtfError {
    /// The file could not be read.
    #[error("cannot read {KERNEL_BTF}: {0}")]
    Io(#[from] std::io::Error),
    /// It is malformed.
    #[error("{KERNEL_BTF} is not valid BTF: {0}")]
    Malformed(&'static str),
}

/// Parsed BTF.
pub(crate) struct Btf {
    data: Vec<u8>,
    /// Where each type starts in `data`; type 0 is `void`.
    types: Vec<u32>,
    /// The types that are structures: one in ten, and only these are searched.
    structures: Vec<u32>,
    strings: std::ops::Range<usize>,
}

/// A field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BtfField {
    /// Bytes from the start of the structure.
    pub(crate) offset: u32,
    /// Its size in bytes.
    pub(crate) bytes: u32,
}

/// A member of a structure or a union.
struct Member<'a> {
    name: &'a [u8],
    type_id: u32,
    bit_offset: u32,
    /// Its size in bits if it is a bit field; otherwise 0.
    bits: u32,
}

impl Btf {
    /// Reads the BTF of the running kernel.
    pub(crate) fn of_this_kernel() -> Result<Self, BtfError> {
        Self::parse(read_kernel_file(KERNEL_BTF)?)
    }

    /// Parses BTF in the byte order of this machine.
    pub(crate) fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        use BtfError::Malformed;
        if u16_at(&data, 0) != Some(MAGIC) {
            return Err(Malformed("the magic number is wrong"));
        }
        let header = |at| u32_at(&data, at).map(|value| value as usize);
        let (Some(length), Some(types_at), Some(types_len), Some(strings_at), Some(strings_len)) =
            (header(4), header(8), header(12), header(16), header(20))
        else {
            return Err(Malformed("it ends within the header"));
        };
        let section = |at: usize, len: usize| {
            let begin = length.checked_add(at)?;
            let end = begin.checked_add(len)?;
            (end <= data.len()).then_some(begin..end)
        };
        let (Some(types_range), Some(strings)) = (
            section(types_at, types_len),
            section(strings_at, strings_len),
        ) else {
            return Err(Malformed("a section reaches beyond its end"));
        };

        let mut types = vec![0];
        let mut structures = Vec::new();
        let mut at = types_range.start;
        while at < types_range.end {
            let parsed = Type::at(&data, at).ok_or(Malformed("it ends within a type"))?;
            if parsed.kind == KIND_STRUCT {
                structures.push(types.len() as u32);
            }
            types.push(u32::try_from(at).map_err(|_too_large| Malformed("it is too large"))?);
            at = parsed
                .end()
                .ok_or(Malformed("it has an unknown kind of type"))?;
        }
        Ok(Self {
            data,
            types,
            structures,
            strings,
        })
    }

    /// The field with a path: `task_struct.se.sum_exec_runtime`,
    /// `mm_struct.rss_stat[1].count`. `None` if there is no such field, or if it
    /// is a bit field.
    pub(crate) fn field(&self, path: &str) -> Option<BtfField> {
        let (structure, members) = path.split_once('.')?;
        self.structures(structure).find_map(|id| {
            let mut at = (id, 0u32);
            for member in members.split('.') {
                let (name, index) = match member.split_once('[') {
                    Some((name, index)) => (name, Some(index.strip_suffix(']')?.parse().ok()?)),
                    None => (member, None),
                };
                let (member_type, offset) = self.member(self.resolve(at.0)?, name, 0)?;
                at = (member_type, at.1.checked_add(offset)?);
                if let Some(index) = index {
                    let (element, offset) = self.element(at.0, index)?;
                    at = (element, at.1.checked_add(offset)?);
                }
            }
            Some(BtfField {
                offset: at.1,
                bytes: self.size_of(at.0)?,
            })
        })
    }

    /// The byte in its structure, and the bit in that byte, of a bit field of one
    /// bit: `tick_sched.idle_active`. `None` if there is no such bit field.
    pub(crate) fn bit_of(&self, path: &str) -> Option<(u32, u32)> {
        let (structure, name) = path.split_once('.')?;
        self.structures(structure).find_map(|id| {
            let found = self.get(id)?;
            (0..found.count as usize).find_map(|index| {
                let member = self.member_at(&found, index)?;
                (member.name == name.as_bytes() && member.bits == 1)
                    .then_some((member.bit_offset / 8, member.bit_offset % 8))
            })
        })
    }

    /// The offset of a per-CPU variable in the per-CPU section:
    /// `kernel_cpustat`.
    pub(crate) fn per_cpu_variable(&self, name: &str) -> Option<u32> {
        let section = self.ids().find_map(|id| {
            let found = self.get(id)?;
            (found.kind == KIND_DATASEC && self.name(found.name) == Some(b".data..percpu"))
                .then_some(found)
        })?;
        (0..section.count as usize).find_map(|index| {
            let at = section.rest + index * 12;
            let variable = self.get(u32_at(&self.data, at)?)?;
            if variable.kind == KIND_VAR && self.name(variable.name) == Some(name.as_bytes()) {
                u32_at(&self.data, at + 4)
            } else {
                None
            }
        })
    }

    /// For each argument of a `tp_btf` program on a tracepoint, whether it is a
    /// pointer. `None` if there is no such tracepoint.
    pub(crate) fn tracepoint_arguments(&self, tracepoint: &str) -> Option<Vec<bool>> {
        let name = format!("btf_trace_{tracepoint}");
        let typedef = self.ids().find_map(|id| {
            let found = self.get(id)?;
            (found.kind == KIND_TYPEDEF && self.name(found.name) == Some(name.as_bytes()))
                .then_some(found)
        })?;
        let pointer = self.get(self.resolve(typedef.size_or_type)?)?;
        let proto = self.get(pointer.size_or_type)?;
        if pointer.kind != KIND_PTR || proto.kind != KIND_FUNC_PROTO {
            return None;
        }
        // The first parameter is the tracepoint's own data.
        (1..proto.count as usize)
            .map(|index| {
                let parameter = u32_at(&self.data, proto.rest + index * 8 + 4)?;
                Some(self.get(self.resolve(parameter)?)?.kind == KIND_PTR)
            })
            .collect()
    }

    fn ids(&self) -> std::ops::Range<u32> {
        1..self.types.len() as u32
    }

    fn get(&self, id: u32) -> Option<Type> {
        if id == 0 {
            return None;
        }
        Type::at(&self.data, *self.types.get(id as usize)? as usize)
    }

    fn name(&self, offset: u32) -> Option<&[u8]> {
        let strings = self.data.get(self.strings.clone())?;
        let rest = strings.get(offset as usize..)?;
        Some(rest.split(|&byte| byte == 0).next().unwrap_or_default())
    }

    fn structures(&self, name: &str) -> impl Iterator<Item = u32> {
        self.structures.iter().copied().filter(move |&id| {
            self.get(id)
                .is_some_and(|found| self.name(found.name) == Some(name.as_bytes()))
        })
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..DEPTH_MAX {
            let found = self.get(id)?;
            match found.kind {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = found.size_or_type;
                }
                _ => return Some(id),
            }
        }
        None
    }

    /// The type and the offset of a member, including members of anonymous
    /// members.
    fn member(&self, structure: u32, name: &str, depth: u32) -> Option<(u32, u32)> {
        let found = self.get(structure)?;
        if !matches!(found.kind, KIND_STRUCT | KIND_UNION) || depth > DEPTH_MAX {
            return None;
        }
        for index in 0..found.count as usize {
            let Member {
                name: member_name,
                type_id,
                bit_offset,
                bits,
            } = self.member_at(&found, index)?;
            if member_name == name.as_bytes() {
                return (bits == 0 && bit_offset % 8 == 0).then_some((type_id, bit_offset / 8));
            }
            if member_name.is_empty()
                && let Some((inner_type, inner)) =
                    self.member(self.resolve(type_id)?, name, depth + 1)
            {
                return Some((inner_type, (bit_offset / 8).checked_add(inner)?));
            }
        }
        None
    }

    /// A member of a structure.
    fn member_at(&self, structure: &Type, index: usize) -> Option<Member<'_>> {
        let at = structure.rest + index * 12;
        let offset = u32_at(&self.data, at + 8)?;
        let (bits, bit_offset) = if structure.kind_flag {
            (offset >> 24, offset & 0x00ff_ffff)
        } else {
            (0, offset)
        };
        Some(Member {
            name: self.name(u32_at(&self.data, at)?)?,
            type_id: u32_at(&self.data, at + 4)?,
            bit_offset,
            bits,
        })
    }

    /// The type and the offset of an element of an array.
    fn element(&self, array: u32, index: u32) -> Option<(u32, u32)> {
        let found = self.get(self.resolve(array)?)?;
        if found.kind != KIND_ARRAY {
            return None;
        }
        let element = u32_at(&self.data, found.rest)?;
        let length = u32_at(&self.data, found.rest + 8)?;
        if index >= length {
            return None;
        }
        let size = self.size_of(element)?;
        Some((element, size.checked_mul(index)?))
    }

    fn size_of(&self, id: u32) -> Option<u32> {
        let found = self.get(self.resolve(id)?)?;
        if found.kind != KIND_ARRAY {
            return Self::size_of_element(found);
        }
        // An array of arrays is not needed, and one that contains itself would
        // be an endless recursion.
        let element = u32_at(&self.data, found.rest)?;
        let length = u32_at(&self.data, found.rest + 8)?;
        let element = self.get(self.resolve(element)?)?;
        Self::size_of_element(element)?.checked_mul(length)
    }

    /// The size of a type that is no array.
    fn size_of_element(found: Type) -> Option<u32> {
        match found.kind {
            KIND_INT | KIND_STRUCT | KIND_UNION | KIND_ENUM | KIND_ENUM64 | KIND_FLOAT => {
                Some(found.size_or_type)
            }
            KIND_PTR => Some(size_of::<usize>() as u32),
            _ => None,
        }
    }
}
