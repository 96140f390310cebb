//! Whether two targets are apart: no place of one is, or may be, one of the other. Told by the configuration alone, since nothing live is asked.
//!
//! What always holds: where it cannot be told, they are not.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use chronos_connect::postgres::{Client, Connection};
use chronos_snapshot::FileOptions;
use reqwest::Url;

use crate::config::{Source, SourceKind, TargetConfig};
use crate::operations::backup::setting;
use crate::operations::restore::{configured, resolved};
use crate::sources::postgres_client;
use crate::values::shown;
use crate::workplace::Workplace;

/// The port of a PostgreSQL that names none.
const POSTGRES_PORT: u16 = 5432;
/// Variables of a connection that say where it leads instead of host and port.
const SERVICE: &str = "PGSERVICE";
const ADDRESS: &str = "PGHOSTADDR";
/// First words of a prefix behind which a command still runs on this host.
const OF_THIS_HOST: [&str; 9] =
    ["env", "sudo", "runuser", "su", "doas", "setpriv", "nice", "ionice", "timeout"];

/// Why `own` is, or may be, at a place of `other`.
pub(super) fn shares(workplace: &Workplace, own: &TargetConfig, other: &TargetConfig) -> Option<String> {
    let of_other = |what: String| format!("{what} of target {}", other.name);
    for path in places(own) {
        for live in places(other) {
            let (is, of) = (shown(&path), of_other(shown(&live)));
            match (resolved(&path), resolved(&live)) {
                (Ok(own), Ok(live)) if !own.starts_with(&live) && !live.starts_with(&own) => {}
                (Ok(_), Ok(_)) => {
                    return Some(format!("{is} and {of} are one place, or one is in the other"));
                }
                (Err(error), _) | (_, Err(error)) => {
                    return Some(format!("whether {is} is apart from {of} is not known: {error}"));
                }
            }
        }
    }
    for source in &own.sources {
        for live in other.sources.iter().filter(|live| live.kind == source.kind) {
            let why = match source.kind {
                SourceKind::N8n => same_n8n(workplace, source, live),
                SourceKind::Postgres => same_databases(workplace, source, live),
                SourceKind::Files | SourceKind::Command | SourceKind::Sqlite => None,
            };
            if let Some(why) = why {
                return Some(format!(
                    "its source {} may be {}: {why}",
                    source.name,
                    of_other(live.name.clone())
                ));
            }
        }
    }
    None
}

/// The files and folders of a target.
fn places(target: &TargetConfig) -> Vec<PathBuf> {
    let of_sources = target.sources.iter().flat_map(|source| source.paths.iter().chain(&source.path));
    target.paths.iter().chain(of_sources).cloned().collect()
}

/// Why two n8n may be one.
fn same_n8n(workplace: &Workplace, own: &Source, live: &Source) -> Option<String> {
    if !own.prefix.is_empty() && own.prefix == live.prefix {
        return Some("both are reached by the same command line".to_owned());
    }
    match place_of_n8n(workplace, own).and_then(|place| is_n8n(workplace, &place, live)) {
        Ok(is_same) => is_same.then(|| "both have one address".to_owned()),
        Err(why) => Some(why),
    }
}

/// Whether a place is that of an n8n; or why that cannot be told.
pub(super) fn is_n8n(workplace: &Workplace, place: &Place, live: &Source) -> Result<bool, String> {
    if place.addresses.is_empty() {
        return Err(format!("nobody knows the host {}", place.host));
    }
    place_of_n8n(workplace, live).map(|live| live.is(place))
}

/// Where an n8n answers.
fn place_of_n8n(workplace: &Workplace, source: &Source) -> Result<Place, String> {
    let named = source.url.as_ref().map(|url| workplace.resolve(url)).transpose();
    let named = named.map_err(|e| e.to_string())?.map(|url| url.reveal().to_owned());
    let url = named.or_else(|| source.address.clone()).ok_or_else(|| {
        format!("{} is reached by its command line alone: say as its `address` where it answers", source.name)
    })?;
    Place::of(&url).ok_or_else(|| format!("where {} answers is no address", source.name))
}

/// Why a database of one source may be one of the other.
fn same_databases(workplace: &Workplace, own: &Source, live: &Source) -> Option<String> {
    let setting = setting(workplace, &FileOptions::default());
    let (a, b) = match (postgres_client(own, &setting), postgres_client(live, &setting)) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(error), _) | (_, Err(error)) => return Some(error.to_string()),
    };
    let named = configured(live, &b);
    let both: Vec<String> = configured(own, &a).into_iter().filter(|name| named.contains(name)).collect();
    let name = both.first()?;
    let why = same_server((own, &a), (live, &b))?;
    Some(format!("both have a database {name}, and {why}"))
}

/// Why two servers may be one.
fn same_server((own, a): (&Source, &Client), (live, b): (&Source, &Client)) -> Option<String> {
    let unknown = |why: &str| Some(format!("whether they are of one server is not known: {why}"));
    match (elsewhere(&own.prefix), elsewhere(&live.prefix)) {
        (None, None) => match (hosts(&a.connection), hosts(&b.connection)) {
            (Some(own), Some(live)) => {
                own.iter().any(|a| live.iter().any(|b| a.is(b))).then(|| "they are of one server".to_owned())
            }
            _ => unknown("their connection is not told by host and port"),
        },
        (Some(own), Some(live)) => {
            (own == live).then(|| format!("their programs run at one place, {}", shown_word(own)))
        }
        _ => unknown("one is reached by a command of another host or container"),
    }
}

/// The host or container in which the programs run behind a prefix, if that is another one than this host.
fn elsewhere(prefix: &[String]) -> Option<&String> {
    let first = prefix.first()?;
    let bare = first.rsplit('/').next().unwrap_or(first);
    if OF_THIS_HOST.contains(&bare) { None } else { prefix.last() }
}

fn shown_word(word: &str) -> String {
    chronos_snapshot::printable(word.as_bytes())
}

/// Where a connection may lead; `None` if that stands elsewhere.
fn hosts(connection: &Connection) -> Option<Vec<Place>> {
    let more = |name: &str| connection.more.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    if more(SERVICE).is_some() {
        return None;
    }
    let list = |text: Option<&String>| -> Vec<String> {
        text.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
    };
    let (names, ports) = (list(more(ADDRESS).or(connection.host.as_ref())), list(connection.port.as_ref()));
    let names = if names.is_empty() { vec![String::new()] } else { names };
    let place = |(number, name): (usize, String)| {
        let port = ports.get(number).or(ports.last()).filter(|port| !port.is_empty());
        let port = port.map_or(Ok(POSTGRES_PORT), |port| port.parse()).ok()?;
        // A folder of sockets is of this host, as is what names nothing.
        let is_socket = name.is_empty() || name.starts_with(['/', '@']);
        Some(Place::at(if is_socket { "localhost" } else { &name }, port))
    };
    names.into_iter().enumerate().map(place).collect()
}

/// Where a server is.
#[derive(Debug)]
pub(super) struct Place {
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
}

impl Place {
    /// That of an address of the web.
    pub(super) fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        Some(Self::at(url.host_str()?, url.port_or_known_default()?))
    }

    fn at(host: &str, port: u16) -> Self {
        let host = host.to_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = (bare, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
        Self { host, port, addresses }
    }

    /// Whether both may be one server: by name, by an address, or because both are this host.
    fn is(&self, other: &Self) -> bool {
        if self.port != other.port {
            return false;
        }
        let is_here =
            |place: &Self| place.addresses.iter().any(|a| a.ip().is_loopback() || a.ip().is_unspecified());
        self.host == other.host
            || self.addresses.iter().any(|address| other.addresses.contains(address))
            || (is_here(self) && is_here(other))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn one_server_is_known_by_every_name_of_it() {
        let is = |a: &str, b: &str| Place::of(a).unwrap().is(&Place::of(b).unwrap());
        for same in [
            "http://localhost:5678/",
            "http://LOCALHOST:5678/api/v1",
            "http://127.0.0.1:5678",
            "http://127.0.0.2:5678",
            "http://[::1]:5678",
            "http://0.0.0.0:5678",
        ] {
            assert!(is("http://localhost:5678", same), "{same}");
        }
        assert!(is("http://192.0.2.7", "http://192.0.2.7:80/x"));
        for other in ["http://localhost:5679", "https://localhost", "http://192.0.2.7:5678"] {
            assert!(!is("http://localhost:5678", other), "{other}");
        }
    }
}
