//! Object stores that speak the protocol of S3.

use std::sync::Arc;

use chronos_remote::{Location, OpenOptions, Variables, open};
use chronos_store::backend::conformance::{self, Handles};
use chronos_store::backend::{Backend, BackendError, BackendExt, Durability};
use chronos_tests::{Moto, S3Fault, S3Flaw, S3Rule, S3Server};

fn options(variables: &[(&'static str, String)]) -> OpenOptions {
    let variables: Variables = variables.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    OpenOptions { variables, ..OpenOptions::default() }
}

fn at(location: &str, variables: &[(&'static str, String)]) -> Arc<dyn Backend> {
    open(&Location::parse(location).unwrap(), &options(variables)).unwrap()
}

fn place(server: &S3Server, prefix: &str) -> Arc<dyn Backend> {
    at(&server.location(prefix), &server.variables())
}

/// Runs the whole suite, each check below a prefix of its own.
fn conforms(place: &dyn Fn(&str) -> Arc<dyn Backend>) -> Result<(), String> {
    let count = std::cell::Cell::new(0);
    let fresh = || -> Handles {
        count.set(count.get() + 1);
        let prefix = format!("repository/{}", count.get());
        (place(&prefix), place(&prefix))
    };
    conformance::run(&fresh)
}

#[test]
fn an_s3_server_conforms() {
    let server = S3Server::new();
    assert_eq!(conforms(&|prefix| place(&server, prefix)), Ok(()));
}

#[test]
fn an_s3_server_on_a_bad_line_conforms() {
    let server = S3Server::new();
    // A create that is repeated finds what is there; if another has written the same bytes, they count as its own.
    let faults = crate::place::faults().into_iter().filter(|rule| rule.method != Some("PUT"));
    faults.for_each(|rule| server.add(rule));
    assert_eq!(conforms(&|prefix| place(&server, prefix)), Ok(()));
}

#[test]
fn moto_conforms() {
    let server = Moto::new();
    assert_eq!(conforms(&|prefix| at(&server.location(prefix), &server.variables())), Ok(()));
}

#[test]
fn a_server_that_overwrites_silently_does_not_conform() {
    let server = S3Server::with_flaw(S3Flaw::IgnoresConditions);
    let fresh = || -> Handles {
        server.objects().content().clear();
        (place(&server, "r"), place(&server, "r"))
    };
    let told = conformance::run(&fresh).unwrap_err();
    assert!(told.contains("a second create fails and changes nothing"), "{told}");
}

#[test]
fn a_create_whose_answer_is_lost_is_settled_by_reading_it_back() {
    for fault in [S3Fault::DoneButClosed, S3Fault::DoneButAnswered(500), S3Fault::DoneButAnswered(503)] {
        let server = S3Server::new();
        let place = place(&server, "r");
        server.add(S3Rule::once("PUT", fault));
        place.create("snap/1", b"mine", Durability::Now).unwrap();
        let counts = server.take_counts();
        assert_eq!((counts.get("PUT"), counts.get("GET")), (Some(&2), Some(&1)), "{fault:?}");
        // The same of somebody else's: there first, and nothing is taken for one's own.
        server.add(S3Rule::once("PUT", S3Fault::Refused(503)));
        let theirs = place.create("snap/1", b"other", Durability::Now);
        assert!(matches!(theirs, Err(BackendError::AlreadyExists(_))), "{fault:?}: {theirs:?}");
        assert_eq!(place.read("snap/1", None).unwrap(), b"mine");
    }
}

#[test]
fn what_passes_is_repeated_and_what_lasts_is_told() {
    let server = S3Server::new();
    let backend = place(&server, "r");
    backend.write_new("a", b"1", Durability::Now).unwrap();
    for fault in [S3Fault::Refused(503), S3Fault::Refused(500), S3Fault::Refused(429), S3Fault::Closed] {
        for method in ["GET", "HEAD", "LIST", "DELETE", "PUT"] {
            server.add(S3Rule::once(method, fault));
        }
        assert_eq!(backend.read("a", None).unwrap(), b"1");
        assert_eq!(backend.stat("a").unwrap(), 1);
        assert_eq!(backend.list_all("").unwrap().len(), 1);
        backend.write_new("b", b"2", Durability::Now).unwrap();
        backend.remove("b").unwrap();
        server.heal();
    }
    server.take_counts();
    server.add(S3Rule::always(None, S3Fault::Refused(403)));
    let refused = backend.read("a", None).unwrap_err();
    assert!(refused.to_string().contains("the keys are not right"), "{refused}");
    assert_eq!(server.take_counts().values().sum::<u64>(), 1);
}

#[test]
fn a_wrong_key_bucket_or_server_is_told_as_such() {
    let server = S3Server::new();
    let mut wrong = server.variables();
    wrong[1].1 = "another".to_owned();
    let error = at(&server.location("r"), &wrong).stat("config").unwrap_err();
    assert!(error.to_string().contains("the keys are not right"), "{error}");
    let other = server.location("r").replace("//backup/", "//elsewhere/");
    let error = at(&other, &server.variables()).write_new("config", b"", Durability::Now).unwrap_err();
    assert!(error.to_string().contains("make the bucket first"), "{error}");
}

#[test]
fn only_an_answer_about_the_object_makes_it_missing() {
    let server = S3Server::new();
    let backend = place(&server, "r");
    assert!(!backend.exists("config").unwrap());
    assert_eq!(
        server.take_counts().get("GET"),
        Some(&1),
        "the first time the bucket could be what is missing"
    );
    assert!(!backend.exists("config").unwrap());
    assert_eq!(server.take_counts().get("GET"), None);
    let nowhere = at(&server.location("r").replace("//backup/", "//elsewhere/"), &server.variables());
    let looked = [nowhere.stat("config").unwrap_err(), nowhere.read("config", None).unwrap_err()];
    server.add(S3Rule::always(Some("GET"), S3Fault::Page(404)));
    for error in looked.into_iter().chain([backend.read("config", None).unwrap_err()]) {
        assert!(matches!(error, BackendError::Io { .. }), "{error}");
        assert_eq!(error.kind(), chronos_store::ErrorKind::Io, "{error}");
    }
}

#[test]
fn a_key_that_writes_what_is_not_there_and_deletes_nothing_is_told_as_such() {
    let server = S3Server::new();
    let client = at(&server.location("r"), &server.variables_of_client());
    client.create("snap/1", b"mine", Durability::Now).unwrap();
    let again = client.create("snap/1", b"other", Durability::Now);
    assert!(matches!(again, Err(BackendError::AlreadyExists(_))), "{again:?}");
    server.take_counts();
    let refused = client.remove("snap/1").unwrap_err();
    let BackendError::Io { source, .. } = &refused else { panic!("{refused}") };
    assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied, "{refused}");
    assert_eq!(server.take_counts()["DELETE"], 1);
    assert_eq!(client.read("snap/1", None).unwrap(), b"mine");
}

#[test]
fn a_server_that_ignores_ranges_or_repeats_pages_is_told_as_such() {
    let server = S3Server::with_flaw(S3Flaw::IgnoresRanges);
    let backend = place(&server, "r");
    backend.write_new("a", b"12345", Durability::Now).unwrap();
    let error = backend.read("a", Some(1..2)).unwrap_err();
    assert!(matches!(&error, BackendError::Invalid(why) if why.contains("ranges are ignored")), "{error}");
    assert_eq!(backend.read("a", None).unwrap(), b"12345");
    let told = conforms(&|prefix| place(&server, prefix)).unwrap_err();
    assert!(told.contains("ranges are ignored"), "{told}");
    let server = S3Server::with_flaw(S3Flaw::RepeatsPages);
    let backend = place(&server, "r");
    for n in 0..1001 {
        server.objects().content().insert(format!("r/log/{n:04}"), bytes::Bytes::new());
    }
    let error = backend.list_all("log/").unwrap_err();
    assert!(matches!(&error, BackendError::Invalid(why) if why.contains("do not end")), "{error}");
    assert_eq!(server.take_counts()["LIST"], 2);
}

#[test]
fn without_keys_it_is_told_where_they_belong_and_nothing_is_repeated() {
    let server = S3Server::new();
    // The service of a machine that gives out keys; there is none.
    let variables =
        [("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1".to_owned()), ("HOME", "/nowhere".to_owned())];
    let error = at(&server.location("r"), &variables).stat("config").unwrap_err();
    assert!(error.to_string().contains("set AWS_ACCESS_KEY_ID"), "{error}");
    assert_eq!(server.take_counts().len(), 0);
    let gone = Location::parse(&format!("{}&profile=gone", server.location("r"))).unwrap();
    let error = open(&gone, &options(&variables)).unwrap_err();
    assert!(error.to_string().contains("no profile \"gone\""), "{error}");
}

#[test]
fn requests_of_each_call() {
    let server = S3Server::new();
    let backend = place(&server, "r");
    let counted = |what: &str, call: &dyn Fn()| {
        server.take_counts();
        call();
        let counts = server.take_counts();
        let counts: Vec<String> = counts.into_iter().map(|(method, n)| format!("{n} {method}")).collect();
        assert_eq!(counts.join(", "), what);
    };
    counted("1 PUT", &|| backend.write_new("packs/s/1", &[7; 10_000], Durability::Deferred).unwrap());
    counted("1 GET", &|| drop(backend.read("packs/s/1", None).unwrap()));
    counted("1 GET", &|| drop(backend.read("packs/s/1", Some(5..10)).unwrap()));
    counted("1 HEAD", &|| assert_eq!(backend.stat("packs/s/1").unwrap(), 10_000));
    counted("1 LIST", &|| drop(backend.list_all("packs/").unwrap()));
    counted("", &|| backend.sync().unwrap());
    counted("1 DELETE", &|| backend.remove("packs/s/1").unwrap());
    for n in 0..2100 {
        server.objects().content().insert(format!("r/log/{n:04}"), bytes::Bytes::new());
    }
    counted("3 LIST", &|| assert_eq!(backend.list_all("log/").unwrap().len(), 2100));
    counted("1 LIST", &|| assert_eq!(backend.list_after("log/", Some("log/1999")).unwrap().len(), 100));
}
