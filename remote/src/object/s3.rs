//! Amazon S3 and what is compatible with it.
//!
//! Keys come, in this order, from the profile that the location names, from the variables (`AWS_ACCESS_KEY_ID`, …), from the usual profile,
//! from a token or an address that the variables name (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_…`), from the machine.

use std::sync::Arc;

use chronos_store::backend::BackendResult;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};

use super::backend::Store;
use super::connection::Connector;
use super::profile::Profile;
use super::{once, unusable};
use crate::location::{Bucket, Style};
use crate::variables::Variables;

/// Settings of a profile that are also those of the connection.
const OF_PROFILE: [(&str, Key); 3] = [
    ("aws_access_key_id", Key::AccessKeyId),
    ("aws_secret_access_key", Key::SecretAccessKey),
    ("aws_session_token", Key::Token),
];

pub(super) fn open(bucket: &Bucket, variables: &Variables) -> BackendResult<Arc<dyn Store>> {
    let profile = Profile::read(bucket.profile.as_deref(), variables).map_err(|e| unusable(bucket, e))?;
    let of_variables = bucket.profile.is_none() && variables.get("AWS_ACCESS_KEY_ID").is_some();
    let mut builder = AmazonS3Builder::new();
    for (name, value) in variables.beginning("AWS_") {
        let Ok(key) = name.to_lowercase().parse() else { continue };
        let is_of_keys = OF_PROFILE.iter().any(|(_, of_profile)| *of_profile == key);
        if !is_of_keys || of_variables {
            builder = builder.with_config(key, value);
        }
    }
    if !of_variables {
        if let Some(setting) = profile.elsewhere() {
            let way_out = "write keys into it, or give them by variables (`aws configure export-credentials --format env`)";
            let why =
                format!("the profile has no keys but {setting}, which is not understood here: {way_out}");
            return Err(unusable(bucket, why));
        }
        for (setting, key) in OF_PROFILE {
            builder = profile.get(setting).into_iter().fold(builder, |b, value| b.with_config(key, value));
        }
    }
    let region = [bucket.region.as_deref(), variables.get("AWS_REGION"), variables.get("AWS_DEFAULT_REGION")];
    if let Some(region) = region.into_iter().flatten().next().or(profile.get("region")) {
        builder = builder.with_region(region);
    }
    builder = with_endpoint(builder, bucket, variables, &profile)?
        .with_bucket_name(&bucket.name)
        .with_retry(once())
        // One request for one object is known everywhere, and its answer is about that object.
        .with_disable_bulk_delete(true)
        .with_http_connector(Connector::new(variables.get("AWS_CA_BUNDLE").or(profile.get("ca_bundle")))?);
    Ok(Arc::new(builder.build().map_err(|e| unusable(bucket, e))?))
}

/// Whom to speak to. A server of one's own is told the bucket's name in the path, Amazon in the host's name, unless the location says else.
fn with_endpoint(
    builder: AmazonS3Builder,
    bucket: &Bucket,
    variables: &Variables,
    profile: &Profile,
) -> BackendResult<AmazonS3Builder> {
    let of_variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let endpoint = bucket.endpoint.as_deref().or_else(|| of_variables.iter().find_map(|n| variables.get(n)));
    let Some(endpoint) = endpoint.or(profile.get("endpoint_url")) else {
        let is_virtual =
            bucket.style.is_none_or(|style| style == Style::Virtual) && !bucket.name.contains('.');
        return Ok(builder.with_virtual_hosted_style_request(is_virtual));
    };
    let mut url = super::endpoint(bucket, endpoint, variables)?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let is_virtual = bucket.style == Some(Style::Virtual);
    if is_virtual && url.set_host(Some(&format!("{}.{host}", bucket.name))).is_err() {
        return Err(unusable(bucket, format!("endpoint {endpoint:?} cannot have the bucket in its name")));
    }
    let url = url.as_str().trim_end_matches('/').to_owned();
    // The more special of the two names of this setting, so that no variable is stronger.
    Ok(builder.with_virtual_hosted_style_request(is_virtual).with_config(Key::S3Endpoint, url))
}
