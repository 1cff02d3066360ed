//! The direction in which the modules of the library depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::workspace;

/// The imports between the modules at the root of the library: importer and
/// imported module, with a file that imports it.
type Imports = BTreeMap<(String, String), PathBuf>;

/// Checks that no module of the library imports one that imports it, directly or
/// through others. Unit tests are left out.
///
/// # Errors
/// When modules import each other in a circle; the error names the files.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root().join("collector-user/src");
    let imports = imports(&root)?;
    if let Some(circle) = circle(&imports) {
        let steps = circle.windows(2).filter_map(|pair| {
            let [from, to] = pair else { return None };
            let file = imports.get(&(from.clone(), to.clone()))?;
            let file = file.strip_prefix(&root).unwrap_or(file);
            Some(format!("{from} imports {to} ({})", file.display()))
        });
        let steps: Vec<String> = steps.collect();
        bail!(
            "modules import each other in a circle: {}",
            steps.join(", ")
        );
    }
    Ok(())
}

fn imports(root: &Path) -> Result<Imports> {
    let mut found = Imports::new();
    let mut modules = BTreeSet::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let Some(module) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        if ["lib", "main"].contains(&module) {
            continue;
        }
        modules.insert(module.to_owned());
        for file in sources(&path)? {
            let text = fs::read_to_string(&file)?;
            for imported in imported_by(without_tests(&text)) {
                if imported != module {
                    found
                        .entry((module.to_owned(), imported))
                        .or_insert_with(|| file.clone());
                }
            }
        }
    }
    found.retain(|(_, imported), _| modules.contains(imported));
    Ok(found)
}

/// The source files of a module, without those that have only tests.
fn sources(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        return Ok(is_source.then(|| path.to_owned()).into_iter().collect());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if stem != "tests" && !stem.ends_with("_tests") {
            found.extend(sources(&path)?);
        }
    }
    Ok(found)
}

/// A source file up to its unit tests.
fn without_tests(text: &str) -> &str {
    let end = text.find("#[cfg(test)]\nmod tests {");
    &text[..end.unwrap_or(text.len())]
}

/// The modules after `crate::`, those in braces included. The binary names the
/// library by its name.
fn imported_by(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for prefix in ["crate::", "collector::"] {
        for (place, _) in code.match_indices(prefix) {
            let before = code[..place].chars().next_back();
            // Inside of a longer path, or in a text.
            let is_part =
                |letter: char| [':', '_', '"'].contains(&letter) || letter.is_alphanumeric();
            if before.is_some_and(is_part) {
                continue;
            }
            let rest = &code[place + prefix.len()..];
            if let Some(list) = rest.strip_prefix('{') {
                found.extend(first_names(list));
            } else {
                found.insert(name(rest).to_owned());
            }
        }
    }
    found
}

/// The first name of each path in a list that ends with a brace.
fn first_names(list: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut is_first) = (0, true);
    for (place, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            letter if depth == 0 && is_first && letter.is_alphabetic() => {
                found.push(name(&list[place..]).to_owned());
                is_first = false;
            }
            _ => {}
        }
    }
    found
}

fn name(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Modules that import each other, the first one repeated at the end.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn visit(
        module: &str,
        imports: &Imports,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = path.iter().position(|other| other == module) {
            let mut circle = path[start..].to_vec();
            circle.push(module.to_owned());
            return Some(circle);
        }
        if !done.contains(module) {
            path.push(module.to_owned());
            for (_, imported) in imports.keys().filter(|(from, _)| from == module) {
                if let Some(circle) = visit(imported, imports, path, done) {
                    return Some(circle);
                }
            }
            path.pop();
            done.insert(module.to_owned());
        }
        None
    }
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    imports
        .keys()
        .find_map(|(module, _)| visit(module, imports, &mut path, &mut done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_in_any_shape() {
        let text = "use crate::{\n    bus::{Bus, core::X},\n    metric,\n};\n// crate::no\n\
                    fn f() { crate::source::open(); self::crate_of(); }\n";
        let expected = ["bus", "metric", "source"].map(str::to_owned);
        assert_eq!(imported_by(text), BTreeSet::from(expected));
    }

    #[test]
    fn a_circle_through_a_third_module_is_found() {
        let imports = |pairs: &[(&str, &str)]| -> Imports {
            let pairs = pairs.iter();
            pairs
                .map(|(a, b)| (((*a).to_owned(), (*b).to_owned()), PathBuf::new()))
                .collect()
        };
        assert_eq!(
            circle(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])),
            None
        );
        let found = circle(&imports(&[("a", "b"), ("b", "c"), ("c", "a")]));
        assert_eq!(found.map(|circle| circle.len()), Some(4));
    }

    #[test]
    fn the_library_has_no_circle() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../collector-user/src");
        let imports = imports(&root).unwrap();
        assert!(imports.contains_key(&("bus".to_owned(), "metric".to_owned())));
        assert_eq!(circle(&imports), None);
        assert_eq!(circle(&imports), None);
    }
}
