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

use chronos_store::backend::{BackendError, BackendResult};
use object_store::RetryConfig;

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

/// One attempt: whoever calls knows what may be repeated.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}
