//! How the service is reached, by whom, and within which limits: resolved values.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::agent::Agent;
use crate::config::{Network, ServiceConfig, parse_listen};
use crate::error::{Error, Result};
use crate::values::{parse_duration, parse_size};

/// Port of CHRONOS.
const CHRONOS_PORT: u16 = 8010;
/// Port of HADES.
const HADES_PORT: u16 = 8008;
/// Longest body: a request with some thousand patterns fits.
const BODY_MAX: usize = 1 << 20;
/// Requests that are answered at once, with those that wait for their turn; beyond it something is wrong with the callers.
const CONCURRENT_MAX: usize = 1000;
/// How long a request may take that does no long work.
const TIME_MAX: Duration = Duration::from_secs(30);

/// What the service is started with.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where CHRONOS listens, if it is served.
    pub chronos: Option<SocketAddr>,
    /// Where HADES listens, if it is served.
    pub hades: Option<SocketAddr>,
    /// File of hashed tokens with their roles.
    pub token_file: Option<PathBuf>,
    /// Networks from which callers need no token.
    pub trusted: Vec<Network>,
    /// Names by which callers may ask for the service, beside loopback names and the address that it listens at.
    pub names: Vec<String>,
    /// Longest body in bytes.
    pub body_max: usize,
    /// How long a request may take that does no long work.
    pub time_max: Duration,
    /// Requests that are answered at once, with those that wait for their turn.
    pub concurrent_max: usize,
    /// Certificate and key, for TLS.
    pub tls: Option<TlsFiles>,
}

/// The files that TLS needs, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            chronos: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), CHRONOS_PORT)),
            hades: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), HADES_PORT)),
            token_file: None,
            trusted: Vec::new(),
            names: Vec::new(),
            body_max: BODY_MAX,
            time_max: TIME_MAX,
            concurrent_max: CONCURRENT_MAX,
            tls: None,
        }
    }
}

impl ServeOptions {
    /// What the configuration says, which was checked when it was read.
    ///
    /// # Errors
    /// [`Error::Value`] for what cannot be meant.
    pub fn of(config: &ServiceConfig) -> Result<Self> {
        let own = Self::default();
        let bad = |key: &str, why: String| Error::Value { place: format!("service.{key}"), why };
        let tls = config.tls_certificate.clone().zip(config.tls_key.clone());
        let most = config.concurrent_max.and_then(|n| usize::try_from(n).ok());
        let address = |key: &str, text: &Option<String>| {
            text.as_deref().map(parse_listen).transpose().map_err(|why| bad(key, why))
        };
        let body =
            config.body_max.as_deref().map(parse_size).transpose().map_err(|why| bad("body_max", why))?;
        let time =
            config.timeout.as_deref().map(parse_duration).transpose().map_err(|why| bad("timeout", why))?;
        Ok(Self {
            chronos: address("listen", &config.listen)?.or(own.chronos),
            hades: address("hades_listen", &config.hades_listen)?.or(own.hades),
            token_file: config.token_file.clone(),
            trusted: config.trusted_networks.clone(),
            names: config.names.clone(),
            body_max: body.and_then(|n| usize::try_from(n).ok()).unwrap_or(own.body_max),
            time_max: time.map_or(own.time_max, Duration::from_secs),
            concurrent_max: most.unwrap_or(own.concurrent_max),
            tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        })
    }

    /// Refuses to let everybody in.
    pub(crate) fn check(&self) -> Result<()> {
        let lets_some_in = self.token_file.is_some() || !self.trusted.is_empty();
        for (agent, address) in self.listeners() {
            if address.ip().to_canonical().is_loopback() || lets_some_in {
                continue;
            }
            return Err(Error::Value {
                place: format!("--{}-listen", agent.name().to_lowercase()),
                why: format!("others can reach {address}: it needs --token-file or --trusted-network"),
            });
        }
        Ok(())
    }

    /// Which services are served, and where.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = (Agent, SocketAddr)> {
        let of = |agent, address: Option<SocketAddr>| address.map(|address| (agent, address));
        of(Agent::Chronos, self.chronos).into_iter().chain(of(Agent::Hades, self.hades))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn others_are_let_in_only_with_tokens() {
        let at = |listen: &str| ServeOptions {
            chronos: Some(parse_listen(listen).unwrap()),
            ..ServeOptions::default()
        };
        assert!(at("127.0.0.1:1").check().is_ok() && at("[::1]:1").check().is_ok());
        assert!(at("[::ffff:127.0.0.1]:1").check().is_ok());
        assert!(at("0.0.0.0:1").check().is_err() && at("[::]:1").check().is_err());
        let with = ServeOptions { token_file: Some("t".into()), ..at("0.0.0.0:1") };
        assert!(with.check().is_ok());
        let hades = ServeOptions { hades: Some("0.0.0.0:1".parse().unwrap()), ..ServeOptions::default() };
        assert!(hades.check().unwrap_err().to_string().contains("--hades-listen"));
        let with = ServeOptions { trusted: vec!["10.0.0.0/8".parse().unwrap()], ..at("0.0.0.0:1") };
        assert!(with.check().is_ok());
    }
}
