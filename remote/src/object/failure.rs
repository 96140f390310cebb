//! What went wrong with an object store, in the words of the storage layer.

use std::error::Error as StdError;
use std::io;

use chronos_store::backend::BackendError;
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// What is told where nobody has keys.
const NO_KEYS: &str = "there are no keys for this object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile of the files of AWS \
     (AWS_PROFILE); this machine gives none by itself";

/// What a server does that no repository can be kept with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// It gives all of an object where a part was asked for.
    #[error("ranges are ignored: the server answers with the whole object when a part of it is asked for")]
    Ranges,
    /// It does not stop.
    #[error("the server's answer is longer than any that was asked for")]
    TooLong,
    /// It does not come to the end of a list.
    #[error("its lists do not end: the server gave a page that it had given before")]
    EndlessLists,
    /// A request cannot be sent there.
    #[error("this is no address: {0}")]
    Address(String),
}

/// An answer that is a refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told())]
pub(super) struct Answer {
    pub(super) status: u16,
    code: String,
    message: String,
    is_silent: bool,
}

impl Answer {
    /// From the status of HTTP and a body that says more, in XML.
    pub(super) fn new(status: u16, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let part = |name: &str| {
            let from = body.split_once(&format!("<{name}>"))?.1;
            Some(from.split_once('<')?.0.trim().to_owned())
        };
        let (code, message) = (part("Code").unwrap_or_default(), part("Message").unwrap_or_default());
        Self { status, code, message, is_silent: body.trim().is_empty() }
    }

    /// Whether it says that an object is missing: not the bucket, and not a page of something between here and there. One without a
    /// body, as every answer to HEAD, may mean any of them.
    pub(super) fn is_of_object(&self) -> bool {
        let codes = ["NoSuchKey", "NoSuchObject", "NoSuchVersion", "NotFound", "BlobNotFound"];
        self.status == 404 && (self.is_silent || codes.contains(&self.code.as_str()))
    }

    /// Whether an object is there already, in the words of Azure.
    pub(super) fn is_taken(&self) -> bool {
        self.code == "BlobAlreadyExists"
    }

    fn told(&self) -> String {
        let way_out = match self.status {
            301 | 307 => "; the bucket is in another region: name that (AWS_REGION, or ?region=)",
            401 | 403 => "; the keys are not right, or may not do this",
            404 if self.code.is_empty() => "; that is no answer of an object store: look at the endpoint",
            404 => "; make the bucket first, or look at its name",
            _ => "",
        };
        let parts = [self.code.as_str(), self.message.as_str()];
        let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("the server answered {} {}{way_out}", self.status, said.join(": "))
    }

    /// What kind of failure it is; those that pass by themselves are repeated.
    fn kind(&self) -> io::ErrorKind {
        match self.status {
            // What a slow or broken line does to a body, in the words of S3.
            400 if matches!(self.code.as_str(), "RequestTimeout" | "IncompleteBody" | "BadDigest") => {
                io::ErrorKind::TimedOut
            }
            501 | 505 => io::ErrorKind::Unsupported,
            507 => io::ErrorKind::StorageFull,
            401 | 403 => io::ErrorKind::PermissionDenied,
            404 => io::ErrorKind::NotFound,
            // Too slow, in conflict with another request, too many, or of the server's own making.
            408 | 409 | 425 | 429 | 500..=599 => io::ErrorKind::ResourceBusy,
            _ => io::ErrorKind::Other,
        }
    }
}

/// The answer that an error came from.
pub(super) fn answer(error: &Error) -> Option<&Answer> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// The failure of a call that was about the object `name`.
pub(super) fn of(name: &str, error: Error) -> BackendError {
    if let Some(unfit) = causes(&error).find_map(|cause| cause.downcast_ref::<Unfit>()) {
        return BackendError::Invalid(format!("{name}: {unfit}"));
    }
    if let Some(answer) = answer(&error) {
        return BackendError::io(name, io::Error::new(answer.kind(), answer.clone()));
    }
    match error {
        Error::NotFound { .. } => BackendError::NotFound(name.to_owned()),
        Error::AlreadyExists { .. } => BackendError::AlreadyExists(name.to_owned()),
        // Who is there and did not answer well this time may do so the next.
        error if is_of_metadata(&error) && !causes(&error).any(is_passing) => {
            BackendError::io(name, io::Error::new(io::ErrorKind::PermissionDenied, NO_KEYS))
        }
        error => {
            let kind = causes(&error).find_map(kind_of).unwrap_or(io::ErrorKind::Other);
            BackendError::io(name, io::Error::new(kind, told(&error)))
        }
    }
}

/// Whether the machine was asked for keys, and gave none: nobody else had any.
fn is_of_metadata(error: &Error) -> bool {
    causes(error).any(|cause| {
        ["/latest/api/token", "/latest/meta-data"].iter().any(|path| cause.to_string().contains(path))
    })
}

/// Whether somebody was reached, and the answer got lost.
fn is_passing(cause: &(dyn StdError + 'static)) -> bool {
    let kind = cause.downcast_ref::<HttpError>().map(HttpError::kind);
    matches!(kind, Some(HttpErrorKind::Timeout | HttpErrorKind::Interrupted | HttpErrorKind::Request))
}

/// A failure of the connection passes, as a rule; one in what was said does not.
fn kind_of(cause: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        // TLS says here why it does not trust the other side.
        return Some(error.kind()).filter(|kind| *kind != io::ErrorKind::Other);
    }
    match cause.downcast_ref::<HttpError>()?.kind() {
        HttpErrorKind::Timeout => Some(io::ErrorKind::TimedOut),
        HttpErrorKind::Connect if is_refusal_of_tls(cause) => Some(io::ErrorKind::InvalidData),
        HttpErrorKind::Connect => Some(io::ErrorKind::NotConnected),
        HttpErrorKind::Request | HttpErrorKind::Interrupted => Some(io::ErrorKind::ConnectionReset),
        _ => None,
    }
}

/// Whether the other side's certificate is the trouble: that does not pass.
fn is_refusal_of_tls(cause: &(dyn StdError + 'static)) -> bool {
    causes(cause).any(|cause| cause.to_string().contains("certificate"))
}

/// The innermost causes say what happened; the outer ones say where in a library.
fn told(error: &Error) -> String {
    let all: Vec<String> = causes(error).map(ToString::to_string).collect();
    let mut told: Vec<&str> = Vec::new();
    for cause in all.iter().rev().take(2) {
        if !told.iter().any(|t| t.contains(cause.as_str()) || cause.contains(t)) {
            told.insert(0, cause);
        }
    }
    told.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_what_to_do() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
        let answer = Answer::new(403, body);
        assert_eq!(answer.kind(), io::ErrorKind::PermissionDenied);
        let told = "the server answered 403 AccessDenied: No.; the keys are not right, or may not do this";
        assert_eq!(answer.to_string(), told);
        assert_eq!(Answer::new(503, b"").kind(), io::ErrorKind::ResourceBusy);
    }

    #[test]
    fn only_an_object_is_missing_where_the_answer_says_so() {
        let is_of_object = |body: &str| Answer::new(404, body.as_bytes()).is_of_object();
        assert!(is_of_object("") && is_of_object("<Error><Code>NoSuchKey</Code></Error>"));
        for other in ["<Error><Code>NoSuchBucket</Code></Error>", "<html>404 not found</html>", "{}"] {
            assert!(!is_of_object(other), "{other}");
        }
        assert!(!Answer::new(403, b"").is_of_object());
    }

    #[test]
    fn a_machine_that_gives_no_keys_is_told_from_one_that_hesitates() {
        let kind = |kind| {
            let said = io::Error::other("PUT http://169.254.169.254/latest/api/token");
            let source = Box::new(Asked { said, source: HttpError::new(kind, io::Error::other("?")) });
            match of("config", Error::Generic { store: "S3", source }) {
                BackendError::Io { source, .. } => source.kind(),
                other => panic!("{other}"),
            }
        };
        assert_eq!(kind(HttpErrorKind::Connect), io::ErrorKind::PermissionDenied);
        assert_eq!(kind(HttpErrorKind::Timeout), io::ErrorKind::TimedOut);
        assert_eq!(kind(HttpErrorKind::Interrupted), io::ErrorKind::ConnectionReset);
    }

    /// A request that failed, as the library tells it.
    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Asked {
        said: io::Error,
        source: HttpError,
    }
}
