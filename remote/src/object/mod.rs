//! Repositories in object stores: Amazon S3 and what is compatible, Google Cloud Storage, Azure Blob Storage.
//!
//! One object of the repository is one object there, written by a single conditional request: whoever comes second is told so. Attempts are
//! repeated by [`RetryBackend`](chronos_store::backend::RetryBackend) alone, which knows that an attempt may have been carried out although
//! its answer never came.

mod azure;
mod backend;
mod connection;
mod failure;
mod gcs;
mod profile;
mod s3;

pub(crate) use backend::ObjectBackend;

use std::net::IpAddr;

use chronos_store::backend::{BackendError, BackendResult};
use object_store::RetryConfig;
use reqwest::Url;

use crate::location::{Bucket, Provider};
use crate::variables::Variables;

/// Makes ready to speak to an object store.
///
/// # Errors
/// What is missing or contradicts itself among keys, profiles and certificates.
pub(crate) fn open(bucket: &Bucket, variables: &Variables) -> BackendResult<ObjectBackend> {
    let store = match bucket.provider {
        Provider::S3 => s3::open(bucket, variables)?,
        Provider::Gcs => gcs::open(bucket, variables)?,
        Provider::Azure => azure::open(bucket, variables)?,
    };
    Ok(ObjectBackend::new(store, bucket))
}

/// Why a bucket cannot be spoken to.
fn unusable(bucket: &Bucket, why: impl std::fmt::Display) -> BackendError {
    BackendError::Invalid(format!("{bucket}: {why}"))
}

/// Checks the server that is named: what goes there is signed, and names and times can be read on the way unless it is sealed.
fn endpoint(bucket: &Bucket, endpoint: &str, variables: &Variables) -> Result<Url, BackendError> {
    // It may have come from a variable or a profile: what it says of users is not told again.
    let url = Url::parse(endpoint).map_err(|e| unusable(bucket, format!("the endpoint: {e}")))?;
    if let Some(why) = crate::location::secret_of(&url) {
        return Err(unusable(bucket, format!("the endpoint {why}")));
    }
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    let is_allowed = variables.get("AWS_ALLOW_HTTP").is_some_and(|v| v == "true");
    if url.scheme() == "https" || url.scheme() == "http" && (is_here || is_allowed) {
        return Ok(url);
    }
    let why = "is not https://; with AWS_ALLOW_HTTP=true http:// is taken (names and times can be read on the way then, content not)";
    Err(unusable(bucket, format!("endpoint {endpoint:?} {why}")))
}

/// One attempt: whoever calls knows what may be repeated.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::location::Location;

    #[test]
    fn what_is_not_sealed_goes_to_this_host_alone_unless_that_is_allowed() {
        let none = Variables::default();
        let allowed = Variables::from_iter([("AWS_ALLOW_HTTP".to_owned(), "true".to_owned())]);
        // For the first nothing is missing; for the other two keys are, if anything.
        for provider in ["s3", "gs", "az"] {
            let opened = |server: &str, variables: &Variables| {
                let text = format!("{provider}://bucket?endpoint={server}");
                let Location::Bucket(bucket) = Location::parse(&text).unwrap() else { panic!("{text}") };
                open(&bucket, variables).map_or_else(|e| e.to_string(), |_| String::new())
            };
            for here in [
                "http://127.0.0.1:9",
                "http://127.9.9.9",
                "http://[::1]:9",
                "http://localhost",
                "https://x.y",
            ] {
                assert!(!opened(here, &none).contains("is not https"), "{provider} {here}");
            }
            for far in ["http://127.evil.com", "http://10.0.0.1", "ftp://localhost"] {
                assert!(opened(far, &none).contains("is not https"), "{provider} {far}");
            }
            assert!(!opened("http://10.0.0.1", &allowed).contains("is not https"), "{provider}");
        }
    }
}
