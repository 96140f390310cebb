//! TLS by files: a certificate and its key, read once at the start.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, Result};
use crate::http::options::TlsFiles;
use crate::values::shown;

/// The one protocol that is spoken inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// What takes connections with this certificate.
///
/// # Errors
/// [`Error::Value`] that names the file and what is wrong with it.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor> {
    let TlsFiles { certificate, key } = files;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong("tls_certificate", certificate, &unread(&error, "certificate")))?;
    if chain.is_empty() {
        return Err(wrong("tls_certificate", certificate, "holds no certificate in PEM"));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| wrong("tls_key", key, &unread(&error, "private key")))?;
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, secret).map_err(|error| {
            wrong("tls_key", key, &format!("does not go with {}: {error}", shown(certificate)))
        })?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unread(error: &PemError, what: &str) -> String {
    match error {
        PemError::Io(error) => format!("cannot be read: {error}"),
        PemError::NoItemsFound => format!("holds no {what} in PEM"),
        error => format!("is not PEM: {error}"),
    }
}

fn wrong(key: &str, file: &Path, why: &str) -> Error {
    Error::Value { place: format!("service.{key}"), why: format!("{} {why}", shown(file)) }
}
