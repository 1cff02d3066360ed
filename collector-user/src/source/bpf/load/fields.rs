//! The offsets of fields in the instructions that read them.

use collector_ebpf::{ABSENT, OFFSETS, PLACEHOLDERS};
use object::{File, Object as _, ObjectSection as _, SectionKind};

/// The length of `struct bpf_insn` of `include/uapi/linux/bpf.h`: opcode,
/// registers, a signed offset of two bytes, a value of four.
const INSTRUCTION: usize = 8;

/// `BPF_ALU64 | BPF_MOV | BPF_K`: puts a value into a register.
const MOVE_VALUE: u8 = 0xb7;

/// The placeholders of an object cannot be replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceholderError {
    /// The object is not a valid ELF file.
    #[error(transparent)]
    Elf(#[from] object::Error),
    /// A section ends beyond the object.
    #[error("the section {0} ends beyond the end of the object")]
    Section(String),
    /// An instruction cannot be changed.
    #[error("instruction {index} of {section} {error}")]
    Instruction {
        /// The section of the program.
        section: String,
        /// The index of the instruction.
        index: usize,
        /// Why.
        #[source]
        error: InstructionError,
    },
}

/// The placeholder of an instruction cannot be replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstructionError {
    /// There is no such field.
    #[error("reads field {0}, which does not exist")]
    NoField(usize),
    /// It reads another number of bytes than the field has.
    #[error("reads {bytes} bytes of {field}")]
    Size {
        /// The bytes that it reads.
        bytes: u32,
        /// The field.
        field: String,
    },
    /// The offset does not fit in the instruction.
    #[error("cannot have an offset of {0} bytes")]
    Offset(u32),
}

/// Replaces the placeholders in an object by the offsets of the fields in the
/// running kernel, given in the order of [`OFFSETS`]. An instruction that would
/// read a field that the kernel does not have loads a zero instead.
///
/// # Errors
///
/// If the object is malformed, or was built for another table of fields.
pub(super) fn fill(object: &mut [u8], offsets: &[u32]) -> Result<(), PlaceholderError> {
    let file = File::parse(&*object)?;
    let mut programs = Vec::new();
    for section in file.sections() {
        if section.kind() == SectionKind::Text
            && let Some((start, length)) = section.file_range()
        {
            let name = section.name().unwrap_or_default().to_owned();
            programs.push((name, start as usize, length as usize));
        }
    }
    drop(file);
    for (name, start, length) in programs {
        let end = start.saturating_add(length);
        let program = object
            .get_mut(start..end)
            .ok_or_else(|| PlaceholderError::Section(name.clone()))?;
        let (instructions, _rest) = program.as_chunks_mut::<INSTRUCTION>();
        for (index, instruction) in instructions.iter_mut().enumerate() {
            fill_instruction(instruction, offsets).map_err(|error| {
                PlaceholderError::Instruction {
                    section: name.clone(),
                    index,
                    error,
                }
            })?;
        }
    }
    Ok(())
}

/// Replaces the placeholder of one instruction, if it has one.
fn fill_instruction(
    instruction: &mut [u8; INSTRUCTION],
    offsets: &[u32],
) -> Result<(), InstructionError> {
    let Some((bytes, index)) = field_read(*instruction) else {
        return Ok(());
    };
    let (Some(field), Some(&offset)) = (OFFSETS.get(index), offsets.get(index)) else {
        return Err(InstructionError::NoField(index));
    };
    if bytes != field.bytes {
        return Err(InstructionError::Size {
            bytes,
            field: field.paths.join(" or "),
        });
    }
    if offset == ABSENT {
        let register = instruction[1] & 0x0f;
        *instruction = [MOVE_VALUE, register, 0, 0, 0, 0, 0, 0];
        return Ok(());
    }
    let encoded = i16::try_from(offset).map_err(|_too_large| InstructionError::Offset(offset))?;
    let [low, high] = encoded.to_le_bytes();
    instruction[2] = low;
    instruction[3] = high;
    Ok(())
}

/// The bytes that an instruction reads of a field, and the index of the field in
/// the table; `None` if it has no placeholder.
fn field_read([opcode, _registers, low, high, ..]: [u8; INSTRUCTION]) -> Option<(u32, usize)> {
    let bytes = bytes_loaded(opcode)?;
    let offset = i16::from_le_bytes([low, high]);
    (offset >= PLACEHOLDERS).then(|| (bytes, (offset - PLACEHOLDERS) as usize))
}

/// The bytes that an instruction loads from memory; `None` if it is no load.
const fn bytes_loaded(opcode: u8) -> Option<u32> {
    // `BPF_LDX | BPF_MEM` with a size.
    match opcode {
        0x61 => Some(4),
        0x69 => Some(2),
        0x71 => Some(1),
        0x79 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD_U32: u8 = 0x61;
    const LOAD_U64: u8 = 0x79;

    fn load(opcode: u8, offset: i16) -> [u8; INSTRUCTION] {
        let [low, high] = offset.to_le_bytes();
        // From register 6 to register 1.
        [opcode, 0x61, low, high, 0, 0, 0, 0]
    }

    /// The index of a field in the table.
    fn index_of(path: &str) -> usize {
        OFFSETS
            .iter()
            .position(|field| field.paths.contains(&path))
            .expect("there is one")
    }

    #[test]
    fn a_placeholder_becomes_the_offset_of_its_field() {
        let pid = index_of("task_struct.pid");
        let mut offsets = vec![ABSENT; OFFSETS.len()];
        offsets[pid] = 1264;
        let mut instruction = load(LOAD_U32, PLACEHOLDERS + pid as i16);
        fill_instruction(&mut instruction, &offsets).expect("it can be filled");
        assert_eq!(instruction, load(LOAD_U32, 1264));
    }

    #[test]
    fn an_absent_field_becomes_zero() {
        let pid = index_of("task_struct.pid");
        let mut instruction = load(LOAD_U32, PLACEHOLDERS + pid as i16);
        fill_instruction(&mut instruction, &[ABSENT; OFFSETS.len()]).expect("it can be filled");
        assert_eq!(instruction, [MOVE_VALUE, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_reads_no_field_stays() {
        for offset in [i16::MIN, -8, 0, 8, PLACEHOLDERS - 1] {
            let mut instruction = load(LOAD_U64, offset);
            fill_instruction(&mut instruction, &[0; OFFSETS.len()]).expect("it can be filled");
            assert_eq!(instruction, load(LOAD_U64, offset));
        }
        // A jump may be as far.
        let mut jump = load(0x05, PLACEHOLDERS);
        fill_instruction(&mut jump, &[0; OFFSETS.len()]).expect("it can be filled");
        assert_eq!(jump, load(0x05, PLACEHOLDERS));
    }

    #[test]
    fn an_instruction_for_another_table_is_refused() {
        let pid = index_of("task_struct.pid");
        let mut of_another_size = load(LOAD_U64, PLACEHOLDERS + pid as i16);
        let error = fill_instruction(&mut of_another_size, &[0; OFFSETS.len()])
            .expect_err("it reads too much");
        assert_eq!(error.to_string(), "reads 8 bytes of task_struct.pid");

        let mut unknown = load(LOAD_U64, PLACEHOLDERS + OFFSETS.len() as i16);
        let error = fill_instruction(&mut unknown, &[0; OFFSETS.len()])
            .expect_err("there is no such field");
        let last = OFFSETS.len();
        assert_eq!(
            error.to_string(),
            format!("reads field {last}, which does not exist")
        );

        let mut far = load(LOAD_U32, PLACEHOLDERS + pid as i16);
        let error =
            fill_instruction(&mut far, &[40_000; OFFSETS.len()]).expect_err("it is too far");
        assert_eq!(error.to_string(), "cannot have an offset of 40000 bytes");
    }

    #[test]
    fn a_damaged_object_is_refused() {
        let whole = super::super::object::OBJECT;
        for length in [0, 1, 63, 64, whole.len() / 2, whole.len() - 1] {
            let mut cut = whole[..length].to_vec();
            fill(&mut cut, &[0; OFFSETS.len()]).expect_err("it is cut off");
        }
    }

    #[test]
    fn no_placeholder_is_left_in_the_object() {
        let mut object = super::super::object::OBJECT.to_vec();
        let before = placeholders(&object);
        assert!(before > 100, "{before} placeholders");
        fill(&mut object, &[8; OFFSETS.len()]).expect("it can be filled");
        assert_eq!(placeholders(&object), 0);
    }

    fn placeholders(object: &[u8]) -> usize {
        let file = File::parse(object).expect("it is an object");
        file.sections()
            .filter(|section| section.kind() == SectionKind::Text)
            .flat_map(|section| section.data().expect("it has some").as_chunks().0)
            .filter(|&&instruction| field_read(instruction).is_some())
            .count()
    }
}
