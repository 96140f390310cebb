//! One HTTP call to an n8n: sent, tried again where that is safe, its answer bounded and understood.
//!
//! Nothing is assumed of an answer: n8n itself writes some errors as HTML, and what stands in front of it writes all sorts.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use chronos_snapshot::printable;
use reqwest::blocking::{self, Response, multipart};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::{self, chain};
use crate::n8n::error::{Error, Result};
use crate::n8n::options::{Limits, Server};
use crate::secret::Secret;

/// Header of the API key.
const KEY_HEADER: &str = "X-N8N-API-KEY";
/// Bytes of an error's body that are looked at.
const ERROR_BYTES_MAX: u64 = 16 << 10;
/// Characters of what a server says that are shown.
const SAID_CHARS_MAX: usize = 500;
/// Times that a call that was too slow is tried: a server that hangs is given up sooner than one that restarts.
const SLOW_ATTEMPTS: u32 = 2;

/// An n8n that is talked to. Counts its calls.
#[derive(Debug)]
pub struct Client {
    http: blocking::Client,
    base: Url,
    shown: String,
    key: Secret,
    basic: Option<(String, Secret)>,
    /// User and password as they are sent.
    basic_sent: Option<Secret>,
    limits: Limits,
    calls: AtomicU64,
}

/// Whether a call that failed may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Twice does no harm.
    Safe,
    /// Only if it never arrived.
    Unsent,
}

/// What a call carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body<'b> {
    Nothing,
    Json(&'b Value),
    /// A file as the form's `package`, and other fields.
    Package(&'b [u8], &'b [(&'static str, &'b str)]),
}

/// A call: method, path below the API's root, query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'c> {
    pub(super) method: &'c Method,
    pub(super) path: &'c [&'c str],
    pub(super) query: &'c [(&'c str, &'c str)],
    pub(super) body: Body<'c>,
    pub(super) again: Again,
}

impl<'c> Call<'c> {
    pub(super) fn get(path: &'c [&'c str]) -> Self {
        Self { method: &Method::GET, path, query: &[], body: Body::Nothing, again: Again::Safe }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{} /{}", self.method, printable(self.path.join("/").as_bytes()))
    }
}

impl Client {
    /// Prepares calls; none is made.
    pub fn new(server: &Server, limits: Limits) -> Result<Self> {
        let (base, shown) = base(&server.url)?;
        let key = server.key.as_ref().map(|k| k.reveal().trim()).filter(|k| !k.is_empty());
        let Some(key) = key else {
            return Err(Error::NoKey { server: shown, has_password: server.basic.is_some() });
        };
        if HeaderValue::from_str(key).is_err() {
            return Err(Error::Invalid(format!(
                "the API key for n8n at {shown} holds characters that no key has"
            )));
        }
        let http = http::client(&base, limits.connect, limits.call)
            .map_err(|why| Error::Invalid(format!("HTTP client: {why}")))?;
        let key = Secret::new(key);
        let basic = server.basic.clone();
        let basic_sent = basic.as_ref().and_then(|(user, password)| sent(&http, &base, user, password));
        Ok(Self { http, base, shown, key, basic, basic_sent, limits, calls: AtomicU64::new(0) })
    }

    /// Base address, for people.
    pub fn server(&self) -> &str {
        &self.shown
    }

    /// The key.
    pub(super) fn key(&self) -> &Secret {
        &self.key
    }

    /// Calls made, repeated ones included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A call whose answer is read by `read`; any other status than 2xx is an error.
    pub(super) fn read<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&mut dyn Read) -> serde_json::Result<T>,
    ) -> Result<T> {
        self.repeat(call.again, || {
            let answer = self.send(call, self.api(call)?)?;
            self.understand(call, answer, &read)
        })
    }

    /// A call that answers JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        self.read(call, |body| serde_json::from_reader(io::BufReader::new(body)))
    }

    /// The beginning of a page outside the API, without the key; only a status of 200 counts.
    pub(super) fn page(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let call = Call::get(&[]);
        self.repeat(call.again, || {
            let answer = self.send(&call, url.clone())?;
            if answer.status() != 200 {
                return Err(self.refused(&call, answer));
            }
            let mut bytes = Vec::new();
            let mut body = self.bounded(answer).take(bytes_max);
            body.read_to_end(&mut bytes).map_err(|e| self.broken(&call.shown(), &e))?;
            Ok(bytes)
        })
    }

    fn repeat<T>(&self, again: Again, run: impl Fn() -> Result<T>) -> Result<T> {
        let mut attempt = 1;
        let mut pause = self.limits.pause;
        loop {
            let error = match run() {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let attempts = match error {
                Error::TooSlow { .. } => self.limits.attempts.min(SLOW_ATTEMPTS),
                _ => self.limits.attempts,
            };
            let may = error.is_before_sending() || (again == Again::Safe && error.is_passing());
            if attempt >= attempts || !may {
                return Err(error);
            }
            std::thread::sleep(pause);
            attempt += 1;
            pause *= 2;
        }
    }

    fn api(&self, call: &Call<'_>) -> Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::Invalid(format!("{} is no address of a server", self.shown)))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        Ok(url)
    }

    fn send(&self, call: &Call<'_>, url: Url) -> Result<Response> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut key = HeaderValue::from_str(self.key.reveal())
            .map_err(|_| Error::Invalid("the API key holds characters that no key has".to_owned()))?;
        key.set_sensitive(true);
        let mut request = self.http.request(call.method.clone(), url).header("Accept", "application/json");
        if !call.path.is_empty() {
            request = request.header(KEY_HEADER, key);
        }
        if let Some((user, password)) = &self.basic {
            request = request.basic_auth(user, Some(password.reveal()));
        }
        request = match call.body {
            Body::Nothing => request,
            Body::Json(value) => request.json(value),
            Body::Package(bytes, fields) => {
                let file = multipart::Part::bytes(bytes.to_vec()).file_name("package.tar.gz");
                let form = multipart::Form::new().part("package", file);
                let form = fields.iter().fold(form, |f, (k, v)| f.text(*k, (*v).to_owned()));
                request.multipart(form)
            }
        };
        request.send().map_err(|e| self.failed(&call.shown(), &e))
    }

    fn understand<T>(
        &self,
        call: &Call<'_>,
        answer: Response,
        read: impl Fn(&mut dyn Read) -> serde_json::Result<T>,
    ) -> Result<T> {
        if !answer.status().is_success() {
            return Err(self.refused(call, answer));
        }
        let what = call.shown();
        let (status, kind) = (answer.status().as_u16(), content_type(&answer));
        if kind.contains("html") {
            return Err(self.not_json(what, status, &kind));
        }
        let mut body = self.bounded(answer);
        read(&mut body).map_err(|e| match (e.io_error_kind(), body.ended) {
            (_, Some(Ended::TooSlow)) => self.too_slow(what),
            (_, Some(Ended::TooLong)) => {
                let why = format!("more than {} bytes", self.limits.answer_bytes_max);
                Error::Unexpected { server: self.shown.clone(), what, why }
            }
            (Some(_), None) => self.broken(&what, &e.into()),
            // An answer that was cut off by whoever passes it on looks like this too.
            (None, None) if e.is_eof() => self.broken(&what, &e.into()),
            (None, None) if kind.contains("json") => {
                Error::Unexpected { server: self.shown.clone(), what, why: self.clean(&e.to_string()) }
            }
            (None, None) => self.not_json(what, status, &kind),
        })
    }

    fn bounded(&self, answer: Response) -> Bounded {
        let until = Instant::now() + self.limits.call;
        Bounded { answer, left: self.limits.answer_bytes_max, until, ended: None }
    }

    /// What an answer with another status than 2xx means.
    fn refused(&self, call: &Call<'_>, answer: Response) -> Error {
        let (server, what) = (self.shown.clone(), call.shown());
        let status = answer.status().as_u16();
        let kind = content_type(&answer);
        let header =
            |name| answer.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok()).map(str::to_owned);
        let (wants_password, location) = (header(WWW_AUTHENTICATE).is_some(), header(LOCATION));
        let mut body = Vec::new();
        // Whatever of it arrives is shown; the status says enough.
        let _ = self.bounded(answer).take(ERROR_BYTES_MAX).read_to_end(&mut body);
        let parsed: Option<Value> = serde_json::from_slice(&body).ok();
        let message =
            parsed.as_ref().and_then(|v| v.get("message").or_else(|| v.get("error"))).map(|m| match m {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
        let said = message.as_deref().map_or_else(|| "no reason given".to_owned(), |m| self.clean(m));
        match status {
            401 if parsed.is_none() && wants_password => Error::WrongPassword { server },
            401 => Error::WrongKey { server, said },
            403 if parsed.is_some() => Error::Forbidden { server, what, said },
            300..=399 => {
                let place = location.map_or_else(|| "elsewhere".to_owned(), |l| self.clean(&l));
                Error::Refused {
                    server,
                    what,
                    status,
                    said: format!("it points to {place}; give that address"),
                }
            }
            500.. if parsed.is_some() => Error::Failing { server, what, status, said },
            _ if parsed.is_some() => Error::Refused { server, what, status, said },
            _ => self.not_json(what, status, &kind),
        }
    }

    fn not_json(&self, what: String, status: u16, kind: &str) -> Error {
        let found = match kind {
            "" => "something".to_owned(),
            html if html.contains("html") => "an HTML page".to_owned(),
            other => self.clean(other),
        };
        Error::NotJson { server: self.shown.clone(), what, status, found }
    }

    fn failed(&self, what: &str, error: &reqwest::Error) -> Error {
        let why = self.clean(&chain(error));
        if error.is_connect() {
            let why = if error.is_timeout() { "no connection in time".to_owned() } else { why };
            return Error::Unreachable { server: self.shown.clone(), why };
        }
        if error.is_timeout() {
            return self.too_slow(what.to_owned());
        }
        Error::Broken { server: self.shown.clone(), what: what.to_owned(), why }
    }

    fn broken(&self, what: &str, error: &io::Error) -> Error {
        Error::Broken { server: self.shown.clone(), what: what.to_owned(), why: self.clean(&chain(error)) }
    }

    fn too_slow(&self, what: String) -> Error {
        Error::TooSlow { server: self.shown.clone(), what, seconds: self.limits.call.as_secs().max(1) }
    }

    /// What a server wrote, fit to be shown: short, without control characters and without the secrets it was given.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = self.key.hidden_in(text);
        if let Some((_, password)) = &self.basic {
            text = password.hidden_in(&text);
        }
        if let Some(sent) = &self.basic_sent {
            text = sent.hidden_in(&text);
        }
        let short: String = text.chars().take(SAID_CHARS_MAX).collect();
        printable(short.trim().as_bytes())
    }
}

/// User and password in the form in which a header carries them: a server may say that back too.
fn sent(http: &blocking::Client, base: &Url, user: &str, password: &Secret) -> Option<Secret> {
    let request = http.get(base.clone()).basic_auth(user, Some(password.reveal())).build().ok()?;
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    Some(Secret::new(header.strip_prefix("Basic ")?))
}

/// Why an answer was not read to its end.
#[derive(Clone, Copy, Debug)]
enum Ended {
    TooLong,
    TooSlow,
}

/// An answer's body with limits.
struct Bounded {
    answer: Response,
    left: u64,
    until: Instant,
    ended: Option<Ended>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.answer.read(buffer);
        if Instant::now() >= self.until || matches!(&read, Err(e) if e.kind() == io::ErrorKind::TimedOut) {
            self.ended = Some(Ended::TooSlow);
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = read?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.ended = Some(Ended::TooLong);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        Ok(read)
    }
}

/// The base address without what may follow it, and how it is shown.
fn base(text: &str) -> Result<(Url, String)> {
    let url = Url::parse(text.trim()).map_err(|e| {
        Error::Invalid(format!("{} is no address of an n8n: {e}", printable(text.as_bytes())))
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Error::Invalid(format!("{} is no http or https address", printable(text.as_bytes()))));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let host = url.host_str().unwrap_or_default();
        return Err(Error::Invalid(format!(
            "the address of n8n on {host} holds a user or a password: give them apart (N8N_USER, N8N_PASS)"
        )));
    }
    let mut url = url;
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/api/v1").unwrap_or(path).to_owned();
    url.set_path(&path);
    let shown = printable(url.as_str().trim_end_matches('/').as_bytes());
    Ok((url, shown))
}

fn content_type(answer: &Response) -> String {
    let value = answer.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
