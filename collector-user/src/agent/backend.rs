use std::str::FromStr;

use super::StartError;
use crate::{
    collectors::ebpf::Accountant,
    source::{
        Sources,
        bpf::{LoadError, LoadOptions},
    },
};

/// How CPUs and processes are accounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// By eBPF programs where that is possible, else from `/proc`.
    #[default]
    Auto,
    /// By eBPF programs, or not at all.
    Ebpf,
    /// From `/proc`.
    Procfs,
}

/// A text is not a backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a backend: choose auto, ebpf or procfs")]
pub struct UnknownBackend(pub String);

impl BackendChoice {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ebpf => "ebpf",
            Self::Procfs => "procfs",
        }
    }
}

impl FromStr for BackendChoice {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        match text {
            "auto" => Ok(Self::Auto),
            "ebpf" => Ok(Self::Ebpf),
            "procfs" => Ok(Self::Procfs),
            other => Err(UnknownBackend(other.to_owned())),
        }
    }
}

/// Why CPUs and processes are accounted from `/proc`.
#[derive(Debug)]
pub enum Fallback {
    /// The procfs backend was chosen.
    Chosen,
    /// A captured tree is read, which no program can be attached to.
    Tree,
    /// The eBPF backend cannot start.
    NoEbpf(LoadError),
}

/// What accounts CPUs and processes.
#[derive(Debug)]
pub(super) enum Accounting {
    Ebpf(Accountant),
    Procfs(Fallback),
}

pub(super) fn choose(
    choice: BackendChoice,
    sources: &Sources,
    options: &LoadOptions,
) -> Result<Accounting, StartError> {
    match choice {
        BackendChoice::Procfs => Ok(Accounting::Procfs(Fallback::Chosen)),
        BackendChoice::Ebpf if !sources.is_live() => {
            Err(StartError::EbpfOfTree(sources.root().to_owned()))
        }
        BackendChoice::Ebpf => Ok(Accounting::Ebpf(Accountant::load(options)?)),
        BackendChoice::Auto if !sources.is_live() => Ok(Accounting::Procfs(Fallback::Tree)),
        BackendChoice::Auto => Ok(match Accountant::load(options) {
            Ok(accountant) => Accounting::Ebpf(accountant),
            Err(error) => Accounting::Procfs(Fallback::NoEbpf(error)),
        }),
    }
}

impl Fallback {
    /// Why a metric that only eBPF knows is not there.
    pub(super) fn why_absent(&self) -> String {
        match self {
            Self::Chosen => "only the eBPF backend knows it, and procfs was chosen".to_owned(),
            Self::Tree => "only the eBPF backend knows it, and a captured tree is read".to_owned(),
            Self::NoEbpf(error) => format!("only the eBPF backend knows it: {error}"),
        }
    }
}
