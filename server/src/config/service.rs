//! `[service]`: how the HTTP service is reached, by whom, and within which limits.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::hook::check_timeout;
use crate::config::problems::{Place, Problems};
use crate::config::web::{Network, parse_listen};
use crate::values::parse_size;

/// The HTTP service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceConfig {
    /// Address and port of CHRONOS; 127.0.0.1:8010 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Address and port of HADES; 127.0.0.1:8008 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hades_listen: Option<String>,
    /// File of hashed tokens with their roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Certificate in PEM, for TLS, then those that vouch for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Folder below which a restore may write for any caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_root: Option<PathBuf>,
    /// Networks from which callers need no token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_networks: Vec<Network>,
    /// Names by which callers may ask for the service, beside loopback names and the address it listens at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Longest body, such as `1M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_max: Option<String>,
    /// Requests that are answered at once, with those that wait for their turn; 1000 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_max: Option<u32>,
    /// How long a request may take that does not wait for a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

impl ServiceConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        for (key, listen) in [("listen", &self.listen), ("hades_listen", &self.hades_listen)] {
            let Some(listen) = listen else { continue };
            match parse_listen(listen) {
                Err(why) => problems.value(&at.key(key), why),
                Ok(address) if !address.ip().is_loopback() && !self.asks_for_tokens() => problems.value(
                    &at.key(key),
                    format!("others can reach {address}: it needs a token_file or trusted_networks"),
                ),
                Ok(_) => {}
            }
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            problems.value(&at.key("tls_certificate and tls_key"), "belong together");
        }
        if let Some(name) = self.names.iter().find(|n| !is_host(n)) {
            problems.value(&at.key("names"), format!("{name:?} is no host's name"));
        }
        match self.body_max.as_deref().map(parse_size) {
            Some(Ok(0)) => problems.value(&at.key("body_max"), "0 would refuse everything"),
            Some(checked) => problems.check(&at.key("body_max"), checked),
            None => {}
        }
        if self.concurrent_max == Some(0) {
            problems.value(&at.key("concurrent_max"), "0 would refuse everything");
        }
        check_timeout(self.timeout.as_deref(), at, problems);
    }

    fn asks_for_tokens(&self) -> bool {
        self.token_file.is_some() || !self.trusted_networks.is_empty()
    }

    pub(super) fn make_absolute(&mut self, folder: &Path) {
        let files =
            [&mut self.token_file, &mut self.tls_certificate, &mut self.tls_key, &mut self.restore_root];
        for path in files.into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }
}

/// Letters, digits, marks and no port.
fn is_host(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}
