//! `docs/performance.md` is what `docs/performance.json` makes, and aims are
//! judged rightly.

#[path = "../benches/tier3/report/mod.rs"]
mod report;

use std::{fs, path::Path};

use report::{Aim, Cell, Figure, Machine, Part, Report, Table, Unit, Verdict, with_separators};

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

#[test]
fn the_page_is_what_the_figures_make() {
    let json = fs::read_to_string(docs().join("performance.json")).unwrap();
    let report: Report = serde_json::from_str(&json).unwrap();
    let committed = fs::read_to_string(docs().join("performance.md")).unwrap();
    assert!(
        report::page(&report) == committed,
        "docs/performance.md is not made from docs/performance.json: \
         run `cargo xtask bench tier3 --report`"
    );
}

#[test]
fn an_aim_is_judged_by_the_median() {
    let met = Figure::of("a", Unit::Ratio, &[9.0, 1.0, 1.0]).aims(Aim::AtMost(1.0), "why");
    assert_eq!(met.verdict(), Some(Verdict::Met));
    assert_eq!(met.reason, None);
    let missed = Figure::of("b", Unit::Ratio, &[9.0, 1.0, 2.0]).aims(Aim::AtLeast(2.1), "why");
    assert_eq!(missed.verdict(), Some(Verdict::Missed));
    assert_eq!(missed.reason.as_deref(), Some("why"));
    let absent = Figure::not_measured("c", Unit::Ratio, "no tool").aims(Aim::AtMost(1.0), "why");
    assert_eq!(absent.verdict(), Some(Verdict::NotMeasured));
    assert_eq!(absent.reason.as_deref(), Some("no tool"));
    for samples in [&[][..], &[f64::NAN], &[1.0, f64::INFINITY]] {
        let figure = Figure::of("d", Unit::Ratio, samples).aims(Aim::AtMost(1.0), "why");
        assert_eq!(figure.verdict(), Some(Verdict::NotMeasured));
    }
}

#[test]
fn the_median_of_an_even_number_lies_between_the_middle_two() {
    let figure = Figure::of("a", Unit::Count, &[4.0, 1.0, 3.0, 2.0]);
    let spread = figure.measured.unwrap();
    let expected = report::Spread {
        median: 2.5,
        min: 1.0,
        max: 4.0,
        samples: 4,
    };
    assert_eq!(spread, expected);
}

#[test]
fn numbers_show_what_matters_of_them() {
    assert_eq!(Unit::Count.show(1_234_567.0), "1,234,567");
    assert_eq!(with_separators("-1234.5"), "-1,234.5");
    assert_eq!(Unit::Microseconds.show(1_234.56), "1,235 µs");
    assert_eq!(Unit::Ratio.show(1.0345), "1.034 ×");
    assert_eq!(Unit::Percent.show(-12.34), "-12.3 %");
    assert_eq!(Unit::Bytes.show(100.0), "100 bytes");
}

/// A report with everything that a page shows.
fn example() -> Report {
    let mut part = Part::new("Title", "What was done.");
    "tick".clone_into(&mut part.name);
    part.figure(Figure::of("fast", Unit::Ratio, &[1.0]).aims(Aim::AtMost(2.0), "no reason"));
    part.figure(Figure::of("slow", Unit::Ratio, &[3.0]).aims(Aim::AtMost(2.0), "it is slow"));
    part.figure(
        Figure::not_measured("none", Unit::Ratio, "no such tool").aims(Aim::AtMost(2.0), ""),
    );
    let mut table = Table::new("Table", [("who", Unit::Text), ("took", Unit::Milliseconds)]);
    table.row(["a|b".into(), 1.5.into()]);
    table.row(["c".into(), Cell::Unknown]);
    part.table(table);
    part.note("A note.");
    Report {
        date: "2000-01-01T00:00:00Z".to_owned(),
        quick: true,
        machine: Machine::default(),
        parts: vec![part],
    }
}

#[test]
fn a_page_shows_verdicts_reasons_and_what_is_not_known() {
    let page = report::page(&example());
    for line in [
        "| tick | fast | at most 2 × | 1.000 × |  | met |",
        "| tick | slow | at most 2 × | 3.000 × |  | **missed** |",
        "| tick | none | at most 2 × | not measured |  | **not measured** |",
        "- **slow**: it is slow",
        "- **none**: no such tool",
        "| who | took (ms) |",
        "| a\\|b | 1.50 |",
        "| c | – |",
        "- A note.",
        "| CPU | unknown |",
    ] {
        assert!(page.lines().any(|each| each == line), "{line:?} in\n{page}");
    }
    assert!(!page.contains("no reason"), "{page}");
    assert!(page.contains("quick run"), "{page}");
}

#[test]
fn a_report_is_the_same_after_it_was_written_and_read() {
    let report = example();
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}
