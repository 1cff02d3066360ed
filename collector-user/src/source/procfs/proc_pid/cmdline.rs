use std::sync::Arc;

/// The arguments of a process, as far as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cmdline {
    /// One by one.
    pub arguments: Vec<Arc<str>>,
    /// Whether there were more or longer ones.
    pub truncated: bool,
}

/// How much of the arguments is shown: a process may have megabytes of them.
const MAX_BYTES: usize = 4096;

/// Parses `/proc/PID/cmdline`: arguments that end with a NUL each.
///
/// A process that changed its own title may have left spaces instead of NULs,
/// or a tail of NULs. A kernel thread and a zombie have none.
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
    /// The arguments in one line, with spaces between them.
    pub fn joined(&self) -> Arc<str> {
        self.arguments.join(" ").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_end_with_nul_and_may_be_empty() {
        let cmdline = parse_cmdline(b"sh\0-c\0\0echo a b\0");
        let arguments: Vec<&str> = cmdline.arguments.iter().map(|a| &**a).collect();
        assert_eq!(arguments, ["sh", "-c", "", "echo a b"]);
        assert_eq!(&*cmdline.joined(), "sh -c  echo a b");
        assert!(!cmdline.truncated);
    }

    #[test]
    fn a_kernel_thread_has_none_and_a_rewritten_title_has_one() {
        assert_eq!(parse_cmdline(b""), Cmdline::default());
        assert_eq!(parse_cmdline(b"\0\0"), Cmdline::default());
        let title = parse_cmdline(b"nginx: worker process\0\0\0\0");
        assert_eq!(&*title.joined(), "nginx: worker process");
    }

    #[test]
    fn a_megabyte_of_arguments_is_cut() {
        let cmdline = parse_cmdline(&vec![b'x'; 1 << 20]);
        assert!(cmdline.truncated);
        assert_eq!(cmdline.joined().len(), MAX_BYTES);
    }
}
