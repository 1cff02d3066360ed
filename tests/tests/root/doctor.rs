//! `collector doctor` on this host.

use collector_tests::agent;
use serde_json::Value;

#[test]
fn the_json_of_doctor_has_every_check() {
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
    let checks = report["checks"].as_array().expect("a list");
    for name in ["kernel", "privileges", "btf", "ebpf", "procfs"] {
        let check = checks.iter().find(|check| check["name"] == name);
        let check = check.unwrap_or_else(|| panic!("{name} is not checked: {report}"));
        assert_eq!(check["status"], "ok", "{check}");
        assert!(
            check["found"]
                .as_str()
                .is_some_and(|found| !found.is_empty()),
            "{check}"
        );
    }
}
