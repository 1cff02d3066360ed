use std::fmt::Write as _;

use collector::text::Harmless;
use tracing_subscriber::{
    field::MakeExt as _,
    fmt::{
        FormatFields,
        format::{Writer, debug_fn},
    },
};

/// Formats fields as the text format does, and escapes control characters: a field may
/// contain a path of a hostile tree.
pub(super) fn fields() -> impl for<'writer> FormatFields<'writer> + Clone {
    debug_fn(|writer: &mut Writer<'_>, field, value| match field.name() {
        "message" => write!(Harmless(writer), "{value:?}"),
        name => write!(Harmless(writer), "{name}={value:?}"),
    })
    .delimited(" ")
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_field_controls_the_terminal_or_starts_a_new_line() {
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .fmt_fields(fields())
            .finish();
        tracing::subscriber::with_default(log, || {
            let hostile = "a\n2026 ERROR forged\x1b[2J\u{202e}";
            tracing::error!(path = %hostile, debug = hostile, "cannot read {hostile}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(
            !text.trim_end().chars().any(collector::text::is_harmful),
            "{text:?}"
        );
        assert!(
            text.contains("path=a\\n2026 ERROR forged\\x1b[2J\\u{202e}"),
            "{text}"
        );
    }
}
