//! Exports as a shell writes them.

#![expect(clippy::unwrap_used, reason = "tests")]

use chronos_snapshot::Origin;

use crate::n8n::node;

use super::*;

fn items(output: &str, change: impl FnOnce(&mut Export)) -> (Vec<(String, usize)>, Option<String>) {
    let command = Process::new(["sh", "-c", &format!("cat <<'E'\n{output}\nE\n")]);
    let mut export = Export {
        command,
        has_encrypted_credentials: false,
        said: Said::default(),
        folder: node::folder("n8n").unwrap(),
        workflow: None,
        parts: Parts::All,
    };
    change(&mut export);
    let (mut found, mut failed) = (Vec::new(), None);
    for item in export.begin() {
        match item {
            Item::Entry(entry) => {
                let Origin::Bytes(bytes) = entry.origin else { continue };
                found.push((entry.path.to_string(), bytes.len()));
            }
            Item::Failed(why) => failed = Some(why),
            Item::Problem(problem) => panic!("{problem:?}"),
        }
    }
    (found, failed)
}

const TWO: &str = r#"(node:7) DeprecationWarning: something
[{"id":"b","name":"B","nodes":[{"credentials":{"t":{"id":"1","name":"n"}}}]},{"id":"a","tags":[{"id":"9","name":"x"}]}]
Successfully exported 2 workflows."#;

#[test]
fn workflows_come_in_order_whatever_stands_around_them() {
    let (found, failed) = items(TWO, |_| {});
    assert_eq!(failed, None);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    let all = ["credentials_metadata.json", "tags.json", "workflows/a.json", "workflows/b.json"];
    assert_eq!(names, all.map(|name| format!("n8n/{name}")));
}

#[test]
fn nothing_to_export_is_no_failure_unless_it_was_asked_for() {
    let none = "No workflows found with specified filters";
    assert_eq!(items(none, |o| o.parts = Parts::Workflows), (vec![("n8n/tags.json".to_owned(), 3)], None));
    let (_, failed) = items(none, |o| o.workflow = Some("x".to_owned()));
    assert!(failed.unwrap().contains("\"x\" not found"));
}

#[test]
fn a_command_that_fails_or_says_something_else_fails_the_source() {
    for output in ["", "oops", "[{\"id\":\"a\"}, {]", "[{\"name\":\"no id\"}]"] {
        let (found, failed) = items(output, |_| {});
        assert!(found.is_empty() && failed.is_some(), "{output}");
    }
    let (found, failed) =
        items("", |o| o.command = Process::new(["sh", "-c", "echo '[]'; echo bad >&2; exit 1"]));
    assert!(found.is_empty() && failed.as_ref().unwrap().contains("bad"), "{failed:?}");
}

#[test]
fn credentials_in_clear_are_refused() {
    let of = |text: &str| items(text, |o| o.has_encrypted_credentials = true);
    assert!(of(r#"[{"id":"1","data":{"value":"s"}}]"#).1.unwrap().contains("not encrypted"));
}
