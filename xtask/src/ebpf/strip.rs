//! Takes the debugging information out of an object, and leaves BTF in.

use anyhow::Result;
use object::build::elf::{Builder, SectionData};
use object::elf;

/// The object without DWARF, as `strip --strip-debug` would make it.
///
/// Done here, so that the bytes do not depend on which strip a machine has.
/// `.BTF` and `.BTF.ext` stay: they describe the maps, and name the line of
/// the source when the kernel rejects a program.
///
/// # Errors
/// When `object` is not an ELF file, or a section that stays needs one that
/// goes.
pub(crate) fn strip(object: &[u8]) -> Result<Vec<u8>> {
    let mut file = Builder::read(object)?;
    // LLVM keeps the names of sections and of symbols in one table; the writer
    // wants two.
    let names = file.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;

    let mut gone = Vec::new();
    for section in &mut file.sections {
        let name = section.name.to_vec();
        if name.starts_with(b".debug_") || name == b".comment" || name == b".llvm_addrsig" {
            section.delete = true;
            gone.push(section.id());
        }
    }
    // A table of relocations goes with the section that it is for.
    for section in &mut file.sections {
        if let SectionData::Relocation(_) = section.data
            && section.sh_info_section.is_some_and(|id| gone.contains(&id))
        {
            section.delete = true;
        }
    }
    for symbol in &mut file.symbols {
        symbol.delete |= symbol.st_type() == elf::STT_FILE;
    }
    // The symbols of those sections, and the relocations that name a symbol.
    file.delete_orphans();

    let mut stripped = Vec::new();
    file.write(&mut stripped)?;
    Ok(stripped)
}
