//! Removes DWARF from an object and keeps BTF.

use anyhow::Result;
use object::build::elf::{Builder, SectionData};
use object::elf;

/// The object without DWARF, as `strip --strip-debug` would make it.
///
/// Done here, so that the result does not depend on the installed `strip`. `.BTF` and
/// `.BTF.ext` stay: they describe the maps, and give the verifier's log its source
/// lines.
///
/// # Errors
/// When `object` is not an ELF file, or a remaining section refers to a removed one.
pub(crate) fn strip(object: &[u8]) -> Result<Vec<u8>> {
    let mut file = Builder::read(object)?;
    // LLVM puts the names of sections and symbols in one string table; the writer
    // needs two.
    let names = file.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;

    let mut removed = Vec::new();
    for section in &mut file.sections {
        let name = section.name.to_vec();
        if name.starts_with(b".debug_") || name == b".comment" || name == b".llvm_addrsig" {
            section.delete = true;
            removed.push(section.id());
        }
    }
    // The relocations of a removed section are removed too.
    for section in &mut file.sections {
        if let SectionData::Relocation(_) = section.data
            && section
                .sh_info_section
                .is_some_and(|id| removed.contains(&id))
        {
            section.delete = true;
        }
    }
    for symbol in &mut file.symbols {
        symbol.delete |= symbol.st_type() == elf::STT_FILE;
    }
    // Symbols of those sections, and relocations against them.
    file.delete_orphans();

    let mut stripped = Vec::new();
    file.write(&mut stripped)?;
    Ok(stripped)
}
