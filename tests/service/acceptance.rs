//! What operators check, typed as they type it: `scripts/acceptance` with real servers at their usual ports.

use std::process::{Command, Stdio};

use chronos_tests::{Program, repository_root};

#[test]
fn the_acceptance_list_holds_as_typed() {
    let script = repository_root().join("scripts/acceptance");
    let output = Command::new(script).arg(Program::path()).stdin(Stdio::null()).output().unwrap();
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{why}");
    assert!(said.ends_with("accepted\n"), "{said}");
}
