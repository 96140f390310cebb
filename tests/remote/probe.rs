//! What object stores are fit for, as the program finds out.

use chronos_tests::{Program, S3Fault, S3Flaw, S3Rule, S3Server};

fn program(server: &S3Server) -> Program {
    Program::at(&server.location("r"), &server.variables())
}

#[test]
fn a_store_that_refuses_a_second_create_is_fit_for_many_writers() {
    let server = S3Server::new();
    let program = program(&server);
    let probed = program.run(["probe", "--json"]).expect_code(0).json();
    assert_eq!(probed["verdict"], "many writers", "{probed}");
    assert!(server.objects().content().is_empty());
    program.run(["init"]).expect_code(0);
    assert!(server.objects().content().keys().all(|key| !key.contains("probe/")));
}

#[test]
fn a_store_that_overwrites_silently_is_told_and_gets_no_repository() {
    let server = S3Server::with_flaw(S3Flaw::IgnoresConditions);
    let program = program(&server);
    let probed = program.run(["probe", "--json"]).expect_code(3).json();
    assert_eq!(probed["verdict"], "single maintainer", "{probed}");
    let refused = program.run(["init"]).expect_code(1);
    assert!(refused.stderr.contains("overwrites silently"), "{}", refused.stderr);
    assert!(server.objects().content().is_empty());
}

#[test]
fn a_store_that_answers_nobody_is_told_as_such() {
    let server = S3Server::new();
    server.add(S3Rule::always(None, S3Fault::Refused(403)));
    let ran = program(&server).run(["probe"]).expect_code(1);
    assert!(ran.stderr.contains("the keys are not right"), "{}", ran.stderr);
}
