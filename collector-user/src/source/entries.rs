use std::fmt;

use super::name::name_text;

/// The names in a directory except `.` and `..`, in the order of getdents(2).
///
/// A name may contain any byte but NUL and `/`. It is stored as the text of
/// [`name_text`], which is unique and can be used to open the file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entries {
    names: String,
    ends: Vec<u32>,
}

impl Entries {
    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut from = 0;
        self.ends.iter().map(move |&end| {
            let name = &self.names[from..end as usize];
            from = end as usize;
            name
        })
    }

    /// The names in natural order: `cpu2` before `cpu10`.
    pub fn sorted(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.iter().collect();
        names.sort_by_cached_key(|name| natural_key(name));
        names
    }

    /// The numbers `N` of the names `prefixN`, sorted.
    pub fn numbered(&self, prefix: &str) -> Vec<u32> {
        let mut numbers: Vec<u32> = self
            .iter()
            .filter_map(|name| name.strip_prefix(prefix))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .filter_map(|digits| digits.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the directory is empty.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn push(&mut self, name: &[u8]) {
        self.names.push_str(&name_text(name));
        self.ends.push(self.names.len() as u32);
    }

    /// The size of the names, for statistics and the bound.
    pub(super) fn bytes(&self) -> usize {
        self.names.len()
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The text before the first number, the number, and the whole name.
fn natural_key(name: &str) -> (&str, u64, &str) {
    let digits_at = name
        .find(|character: char| character.is_ascii_digit())
        .unwrap_or(name.len());
    let (text, rest) = name.split_at(digits_at);
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .map_or(rest, |end| &rest[..end]);
    (text, digits.parse().unwrap_or(0), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Entries {
        let mut entries = Entries::default();
        for name in names {
            entries.push(name.as_bytes());
        }
        entries
    }

    #[test]
    fn names_keep_their_order() {
        let entries = entries(&["b", "", "a"]);
        assert_eq!(entries.iter().collect::<Vec<_>>(), ["b", "", "a"]);
        assert_eq!(entries.len(), 3);
    }

    #[test]
    fn numbers_are_sorted_by_value() {
        let entries = entries(&["cpu10", "cpu2", "cpufreq", "cpu1"]);
        assert_eq!(entries.sorted(), ["cpu1", "cpu2", "cpu10", "cpufreq"]);
    }

    #[test]
    fn only_names_with_a_number_after_the_prefix_are_numbered() {
        let entries = entries(&["cpu10", "cpu2", "cpufreq", "cpu", "cpu+3", "cpu99999999999"]);
        assert_eq!(entries.numbered("cpu"), [2, 10]);
    }
}
