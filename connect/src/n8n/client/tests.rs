//! Addresses, keys, repetitions.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::*;

fn server(url: &str) -> Server {
    Server { url: url.to_owned(), key: Some(Secret::new("k3y")), basic: None }
}

#[test]
fn the_base_address_is_what_stays_of_what_people_give() {
    for given in [
        "http://h:5678",
        "http://h:5678/",
        "http://h:5678/api/v1",
        "http://h:5678/api/v1/",
        " http://h:5678/?x=1 ",
    ] {
        let client = Client::new(&server(given), Limits::default()).unwrap();
        assert_eq!(client.server(), "http://h:5678", "{given}");
        let url = client.api(&Call::get(&["workflows", "a/b c"])).unwrap();
        assert_eq!(url.as_str(), "http://h:5678/api/v1/workflows/a%2Fb%20c");
    }
    let client = Client::new(&server("https://h/n8n/"), Limits::default()).unwrap();
    let call = Call { query: &[("cursor", "a+b=&c")], ..Call::get(&["tags"]) };
    assert_eq!(client.api(&call).unwrap().as_str(), "https://h/n8n/api/v1/tags?cursor=a%2Bb%3D%26c");
}

#[test]
fn addresses_that_are_none_and_those_with_passwords_are_refused() {
    for given in ["", "h:5678", "ftp://h", "http://", "http://u:s3cr3t@h"] {
        let error = Client::new(&server(given), Limits::default()).unwrap_err().to_string();
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}

#[test]
fn without_a_key_the_error_says_how_to_make_one() {
    let mut without = Server { key: None, ..server("http://h") };
    let error = Client::new(&without, Limits::default()).unwrap_err().to_string();
    assert!(error.contains("Settings") && !error.contains("proxy"), "{error}");
    without.basic = Some(("admin".to_owned(), Secret::new("s3cr3t")));
    let error = Client::new(&without, Limits::default()).unwrap_err().to_string();
    assert!(error.contains("proxy") && !error.contains("s3cr3t"), "{error}");
}

#[test]
fn what_a_server_says_is_shown_without_secrets() {
    let mut given = server("http://h");
    given.basic = Some(("admin".to_owned(), Secret::new("s3cr3t")));
    let client = Client::new(&given, Limits::default()).unwrap();
    assert_eq!(client.clean(" bad k3y or s3cr3t\n"), "bad … or …");
    assert!(!format!("{client:?}").contains("k3y"));
}

#[test]
fn pauses_grow_and_calls_that_change_things_are_not_repeated() {
    let limits = Limits { pause: Duration::ZERO, ..Limits::default() };
    let client = Client::new(&server("http://h"), limits).unwrap();
    let tried = std::cell::Cell::new(0);
    let failing = || -> Result<()> {
        tried.set(tried.get() + 1);
        Err(Error::Failing { server: String::new(), what: String::new(), status: 503, said: String::new() })
    };
    client.repeat(Again::Unsent, failing).unwrap_err();
    assert_eq!(tried.take(), 1);
    client.repeat(Again::Safe, failing).unwrap_err();
    assert_eq!(tried.take(), 4);
    let not_ready = || -> Result<()> {
        tried.set(tried.get() + 1);
        let said = "Database is not ready!".to_owned();
        Err(Error::Failing { server: String::new(), what: String::new(), status: 503, said })
    };
    client.repeat(Again::Unsent, not_ready).unwrap_err();
    assert_eq!(tried.take(), 4, "it was not looked at");
}
