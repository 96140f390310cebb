//! One HTTP call to somebody who is told or asked: posted or fetched, with a token, within a time limit.
//!
//! What always holds: neither the token nor the address is in what is said of a failure, since addresses may be secrets too.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use chronos_connect::Secret;
use chronos_connect::http::{self, chain};
use reqwest::Url;
use reqwest::blocking::{Client, Response};

use crate::secret::SecretRef;
use crate::values::parse_duration;
use crate::workplace::Workplace;

/// How long connecting may take: whoever is there answers at once.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read, and of a refusal.
const ANSWER_MAX: u64 = 256 << 10;
const REFUSAL_MAX: u64 = 4 << 10;
/// Name of the header that carries the id of what is sent, by which a receiver knows what it has already.
const ID_HEADER: &str = "Idempotency-Key";

/// Where calls go.
pub(crate) struct Outgoing {
    http: Client,
    url: Url,
    token: Option<Secret>,
}

/// What is done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb<'a> {
    /// It is only called.
    Get,
    /// A document is posted.
    Post {
        /// JSON.
        body: &'a str,
        /// Its id, if it has one.
        id: Option<&'a str>,
    },
}

/// Why a call was in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unheard {
    /// Its status, if it answered.
    pub(crate) status: Option<u16>,
    /// What it said, or why it could not be reached.
    pub(crate) why: String,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

impl From<String> for Unheard {
    fn from(why: String) -> Self {
        Self { status: None, why }
    }
}

impl Outgoing {
    /// Calls of this address, with the value of this token.
    pub(crate) fn new(
        workplace: &Workplace,
        url: &str,
        token: Option<&SecretRef>,
        limit: Duration,
    ) -> Result<Self, Unheard> {
        let url = Url::parse(url).map_err(|e| format!("its address is none: {e}"))?;
        let token = token.map(|t| workplace.resolve(t)).transpose().map_err(|e| e.to_string())?;
        let http = http::client(&url, CONNECT_MAX.min(limit), limit)?;
        Ok(Self { http, url, token })
    }

    /// Calls; what is answered is given if it means that all is well.
    pub(crate) fn call(&self, verb: Verb<'_>) -> Result<String, Unheard> {
        let mut call = match verb {
            Verb::Get => self.http.get(self.url.clone()),
            Verb::Post { body, id } => {
                let call = self.http.post(self.url.clone()).header("Content-Type", "application/json");
                let call = call.body(body.to_owned());
                match id {
                    Some(id) => call.header(ID_HEADER, id),
                    None => call,
                }
            }
        };
        if let Some(token) = &self.token {
            call = call.bearer_auth(token.reveal());
        }
        let answer = call.send().map_err(|e| Unheard::from(self.harmless(&chain(&e.without_url()))))?;
        let status = answer.status();
        let most = if status.is_success() { ANSWER_MAX } else { REFUSAL_MAX };
        let said = self.harmless(&text(answer, most));
        if status.is_success() {
            return Ok(said);
        }
        let why = if said.is_empty() {
            format!("it answered {status}")
        } else {
            format!("it answered {status}: {said}")
        };
        Err(Unheard { status: Some(status.as_u16()), why })
    }

    /// What a receiver says, without the token and the part of the address that only it and its callers know.
    fn harmless(&self, text: &str) -> String {
        let hidden = self.token.as_ref().map_or_else(|| text.to_owned(), |token| token.hidden_in(text));
        let path = self.url.path().trim_end_matches('/');
        [path, self.url.query().unwrap_or_default()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .fold(hidden, |text, part| Secret::new(part).hidden_in(&text))
    }
}

/// The beginning of an answer; one that breaks off counts as what came of it.
fn text(answer: Response, most: u64) -> String {
    let mut bytes = Vec::new();
    if answer.take(most).read_to_end(&mut bytes).is_err() && bytes.is_empty() {
        return String::new();
    }
    chronos_snapshot::printable(bytes.trim_ascii())
}

/// A time limit of the configuration, which was checked when that was read.
pub(crate) fn limit(text: Option<&str>, usual: Duration) -> Duration {
    text.and_then(|t| parse_duration(t).ok()).map_or(usual, Duration::from_secs)
}
