//! Azure Blob Storage, with the usual variables (`AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, …) or the machine's own identity.

use std::sync::Arc;

use chronos_store::backend::BackendResult;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::backend::Store;
use super::connection::Connector;
use super::{once, unusable};
use crate::location::Bucket;
use crate::variables::Variables;

pub(super) fn open(bucket: &Bucket, variables: &Variables) -> BackendResult<Arc<dyn Store>> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(&bucket.name)
        .with_retry(once())
        .with_http_connector(Connector::new(None)?);
    for (name, value) in variables.beginning("AZURE_") {
        if let Ok(key) = name.to_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    if let Some(endpoint) = builder.get_config_value(&AzureConfigKey::Endpoint) {
        super::endpoint(bucket, &endpoint, variables)?;
    }
    Ok(Arc::new(builder.build().map_err(|e| unusable(bucket, e))?))
}
