use std::sync::Arc;

/// The command line of a process, truncated to a maximum size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cmdline {
    /// The arguments.
    pub arguments: Vec<Arc<str>>,
    /// Whether the command line was truncated.
    pub truncated: bool,
}

/// The maximum size: a command line may have megabytes.
const MAX_BYTES: usize = 4096;

/// Parses `/proc/PID/cmdline`: NUL-terminated arguments.
///
/// A process that has set its title may have spaces instead of NULs, or trailing NULs. It
/// is empty for a kernel thread and a zombie.
pub fn parse_cmdline(bytes: &[u8]) -> Cmdline {
    let end = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    if end == 0 {
        return Cmdline::default();
    }
    let truncated = end > MAX_BYTES;
    let shown = &bytes[..end.min(MAX_BYTES)];
    Cmdline {
        arguments: shown
            .split(|&byte| byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into())
            .collect(),
        truncated,
    }
}

impl Cmdline {
    /// The arguments, joined with spaces.
    pub fn joined(&self) -> Arc<str> {
        self.arguments.join(" ").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_nul_terminated_and_may_be_empty() {
        let cmdline = parse_cmdline(b"sh\0-c\0\0echo a b\0");
        let arguments: Vec<&str> = cmdline.arguments.iter().map(|a| &**a).collect();
        assert_eq!(arguments, ["sh", "-c", "", "echo a b"]);
        assert_eq!(&*cmdline.joined(), "sh -c  echo a b");
        assert!(!cmdline.truncated);
    }

    #[test]
    fn a_kernel_thread_has_none_and_a_process_title_is_one_argument() {
        assert_eq!(parse_cmdline(b""), Cmdline::default());
        assert_eq!(parse_cmdline(b"\0\0"), Cmdline::default());
        let title = parse_cmdline(b"nginx: worker process\0\0\0\0");
        assert_eq!(&*title.joined(), "nginx: worker process");
    }

    #[test]
    fn a_megabyte_of_arguments_is_truncated() {
        let cmdline = parse_cmdline(&vec![b'x'; 1 << 20]);
        assert!(cmdline.truncated);
        assert_eq!(cmdline.joined().len(), 4 << 10);
    }
}
