//! What HTTP calls to outside systems have in common, whoever makes them.
//!
//! What always holds: a call goes where its address says, never on to another place, and past no proxy to this host.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::blocking::Client;
use reqwest::{Url, redirect};

/// Makes what calls `url`: a connection takes at most `connect`, a whole call at most `call`.
///
/// # Errors
/// Why it cannot be made, for people.
pub fn client(url: &Url, connect: Duration, call: Duration) -> Result<Client, String> {
    let mut client = Client::builder()
        .connect_timeout(connect)
        .timeout(call)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("chronos/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        client = client.no_proxy();
    }
    client.build().map_err(|e| chain(&e))
}

/// An error with its causes, without what is said twice.
pub fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = error.source();
    }
    said
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io;

    use super::*;

    #[test]
    fn only_this_host_is_loopback() {
        let is = |url: &str| is_loopback(&Url::parse(url).unwrap());
        assert!(is("http://localhost:5678") && is("http://127.0.0.2/") && is("https://[::1]:1/x"));
        assert!(!is("http://localhost.example/") && !is("http://10.0.0.1/") && !is("http://[2001:db8::1]/"));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Outer {
        said: &'static str,
        source: io::Error,
    }

    #[test]
    fn causes_are_named_once() {
        let outer = |said| Outer { said, source: io::Error::other("no route") };
        assert_eq!(chain(&outer("it failed")), "it failed: no route");
        assert_eq!(chain(&outer("it failed: no route")), "it failed: no route");
    }
}
