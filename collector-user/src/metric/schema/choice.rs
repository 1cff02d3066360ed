/// An enum whose variants hold no data, such as the state of a process.
///
/// Implemented by [`derive@crate::metric::Choice`].
pub trait Choice: Copy {
    /// Its name, its variants and their meaning.
    const INFO: ChoiceInfo;

    /// The index of this variant in [`ChoiceInfo::values`].
    fn index(self) -> usize;
}

/// What a [`Choice`] can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChoiceInfo {
    /// The name of the type.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// Its variants.
    pub values: &'static [ChoiceValue],
}

/// One variant of a [`Choice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChoiceValue {
    /// Its number in protobuf: at least 1, never renamed or reused.
    pub number: u32,
    /// Its name in JSON.
    pub name: &'static str,
    /// Its meaning.
    pub doc: &'static str,
}
