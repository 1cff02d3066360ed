//! The agent looks at its host.

use collector_tests::agent;
use serde_json::Value;

#[test]
fn doctor_writes_json_that_names_its_findings() {
    let output = agent()
        .expect("the agent")
        .args(["doctor", "--format", "json"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    // 0: all works; 1: works with a fallback; 2: cannot work.
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert!(
        report.as_object().is_some_and(|object| !object.is_empty()),
        "{report}"
    );
}
