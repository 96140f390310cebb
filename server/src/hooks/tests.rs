//! Commands of hooks: what is kept of what they say, and when they are ended.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::command::run;
use super::*;

const LONG: Duration = Duration::from_mins(1);

#[test]
fn the_document_is_its_input_and_the_end_of_its_output_is_kept() {
    let said = run("cat; echo second >&2", "first\n", &[], LONG, &|| false).unwrap();
    assert_eq!(said, "first\nsecond");
    let said = run("yes | head -c 100000; echo last", "", &[], LONG, &|| false).unwrap();
    assert!(said.len() <= 4096 && said.ends_with("last"), "{}", said.len());
    assert_eq!(run("exit 3", "", &[], LONG, &|| false).unwrap_err(), "exit status: 3");
    assert_eq!(run("echo why; exit 3", "unread", &[], LONG, &|| false).unwrap_err(), "why");
}

#[test]
fn it_has_all_variables_but_those_that_it_must_not_have() {
    // Those of every test.
    let has = |said: &str, name: &str| said.lines().any(|line| line.starts_with(&format!("{name}=")));
    let all = run("env", "", &[], LONG, &|| false).unwrap();
    assert!(has(&all, "PATH") && has(&all, "CARGO_PKG_NAME"), "{all}");
    let less = run("env", "", &["CARGO_PKG_NAME".to_owned()], LONG, &|| false).unwrap();
    assert!(has(&less, "PATH") && !has(&less, "CARGO_PKG_NAME"), "{less}");
}

#[test]
fn it_ends_when_its_time_is_over_or_it_is_asked_to_stop() {
    let late = run("sleep 600", "", &[], Duration::from_millis(10), &|| false).unwrap_err();
    assert!(late.starts_with("it took longer"), "{late}");
    assert_eq!(run("sleep 600", "", &[], LONG, &|| true).unwrap_err(), "it was stopped");
    // Nobody waits for what holds its output open.
    assert_eq!(run("sleep 5 & echo well", "", &[], LONG, &|| false).unwrap(), "well");
}
