//! The architectures that the tests run on.

use std::env::consts::ARCH;
use std::fmt;
use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::command;

/// An architecture that collector runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Architecture {
    #[value(name = "x86-64")]
    X86,
    #[value(name = "arm64")]
    Arm,
}

impl Architecture {
    /// The architecture of this machine.
    ///
    /// # Errors
    /// When it is not supported.
    pub(crate) fn of_this_machine() -> Result<Self> {
        match ARCH {
            "x86_64" => Ok(Self::X86),
            "aarch64" => Ok(Self::Arm),
            _ => bail!("the tests support x86-64 and arm64, and this machine is {ARCH}"),
        }
    }

    pub(crate) fn is_of_this_machine(self) -> bool {
        Self::of_this_machine().is_ok_and(|own| own == self)
    }

    /// Its name in Rust and in Linux.
    fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        }
    }

    /// Its name in Debian.
    pub(crate) fn of_debian(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Arm => "arm64",
        }
    }

    /// The Rust target triple.
    pub(crate) fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.name())
    }

    /// The QEMU binary.
    pub(crate) fn qemu(self) -> String {
        format!("qemu-system-{}", self.name())
    }

    /// The package of the QEMU binary.
    pub(crate) fn qemu_package(self) -> &'static str {
        match self {
            Self::X86 => "qemu-system-x86",
            Self::Arm => "qemu-system-arm",
        }
    }

    /// A program of the toolchain, `gcc` or `strip`, with the cross prefix if needed.
    pub(crate) fn tool(self, name: &str) -> String {
        if self.is_of_this_machine() {
            name.to_owned()
        } else {
            format!("{}-linux-gnu-{name}", self.name())
        }
    }

    /// The packages of the cross toolchain and of its C library.
    pub(crate) fn tool_packages(self) -> [String; 2] {
        let gcc = self.name().replace('_', "-");
        [
            format!("gcc-{gcc}-linux-gnu"),
            format!("libc6-dev-{}-cross", self.of_debian()),
        ]
    }

    /// Checks that programs can be linked for it.
    ///
    /// # Errors
    /// When they cannot, with the command that installs the toolchain.
    pub(crate) fn check_tools(self) -> Result<()> {
        if self.is_of_this_machine() {
            return Ok(());
        }
        // gcc prints an absolute path if it finds the library.
        let linker = self.tool("gcc");
        let linked = command::output(Command::new(&linker).args(["-print-file-name=libc.a"]));
        match linked {
            Ok(path) if path.starts_with('/') => Ok(()),
            Ok(_) => {
                bail!("{linker} finds no C library; run `cargo xtask setup --for all-kernels`")
            }
            Err(_) => bail!("{linker} cannot be run; run `cargo xtask setup --for all-kernels`"),
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X86 => formatter.write_str("x86-64"),
            Self::Arm => formatter.write_str("arm64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Architecture::{Arm, X86};

    #[test]
    fn an_architecture_has_the_names_that_its_tools_use() {
        assert_eq!(Arm.target(), "aarch64-unknown-linux-gnu");
        assert_eq!(X86.qemu(), "qemu-system-x86_64");
        assert_eq!(
            X86.tool_packages(),
            ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"]
        );
        assert_eq!(
            Arm.tool_packages(),
            ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]
        );
    }

    #[test]
    fn tools_for_another_architecture_have_the_cross_prefix() {
        let others = [X86, Arm]
            .into_iter()
            .filter(|each| !each.is_of_this_machine());
        for other in others {
            assert!(other.tool("strip").ends_with("-linux-gnu-strip"));
        }
    }
}
