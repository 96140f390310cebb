//! Google Cloud Storage, with the usual variables (`GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SERVICE_ACCOUNT`, …) or the machine's own account.

use std::sync::Arc;

use chronos_store::backend::BackendResult;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

use super::backend::Store;
use super::connection::Connector;
use super::{once, unusable};
use crate::location::Bucket;
use crate::variables::Variables;

pub(super) fn open(bucket: &Bucket, variables: &Variables) -> BackendResult<Arc<dyn Store>> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&bucket.name)
        .with_retry(once())
        .with_http_connector(Connector::new(None)?);
    for (name, value) in variables.beginning("GOOGLE_") {
        if let Ok(key) = name.to_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    if let Some(endpoint) = builder.get_config_value(&GoogleConfigKey::BaseUrl) {
        super::endpoint(bucket, &endpoint, variables)?;
    }
    Ok(Arc::new(builder.build().map_err(|e| unusable(bucket, e))?))
}
