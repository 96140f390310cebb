//! Whether two targets are apart: no place of one is, or may be, one of the other. Told by the configuration alone, since nothing live is asked.
//!
//! What always holds: where it cannot be told, they are not.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chronos_connect::postgres::{Client, Connection};
use chronos_snapshot::FileOptions;
use reqwest::Url;

use crate::config::{Source, SourceKind, TargetConfig};
use crate::error::Result;
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
/// Programs that run a command on this host as another user, with `-u USER` and nothing else.
const AS_USER: [&str; 3] = ["sudo", "runuser", "doas"];

/// Why `own` is, or may be, at a place of `other`.
pub(super) fn shares(workplace: &Workplace, own: &TargetConfig, other: &TargetConfig) -> Option<String> {
    let of_other = |what: String| format!("{what} of target {}", other.name);
    for place in places(other) {
        if let Some(why) = holds(own, &place, &of_other(shown(&place))) {
            return Some(why);
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

/// Why a place of a target is, or may be, this one, or in it, or around it.
pub(super) fn holds(own: &TargetConfig, place: &Path, named: &str) -> Option<String> {
    places(own).iter().find_map(|path| match overlap(path, place) {
        Ok(false) => None,
        Ok(true) => Some(format!("{} and {named} are one place, or one is in the other", shown(path))),
        Err(error) => Some(format!("whether {} is apart from {named} is not known: {error}", shown(path))),
    })
}

/// Whether two places are one, or one is in the other: by their paths without links, and by what they are, since a folder that is mounted
/// twice and a file with two names have two paths.
fn overlap(a: &Path, b: &Path) -> Result<bool> {
    let (a, b) = (resolved(a)?, resolved(b)?);
    let what = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    let is_in = |inner: &Path, outer: &Path| {
        let outer_is = what(outer);
        inner.starts_with(outer) || inner.ancestors().any(|at| outer_is.is_some() && what(at) == outer_is)
    };
    Ok(is_in(&a, &b) || is_in(&b, &a))
}

/// The files and folders of a target.
fn places(target: &TargetConfig) -> Vec<PathBuf> {
    let of_sources = target.sources.iter().flat_map(|source| source.paths.iter().chain(&source.path));
    target.paths.iter().chain(of_sources).cloned().collect()
}

/// Why two n8n may be one.
fn same_n8n(workplace: &Workplace, own: &Source, live: &Source) -> Option<String> {
    if !own.prefix.is_empty() && (own.url.is_some() || own.prefix == live.prefix) {
        return Some(
            "its workflows go there by a command line, of which it is not known where that leads".to_owned(),
        );
    }
    match place_of_n8n(workplace, own).and_then(|place| is_n8n(workplace, &place, live)) {
        Ok(is_same) => is_same.then(|| "both have one address".to_owned()),
        Err(why) => Some(why),
    }
}

/// Whether a place is that of an n8n; or why that cannot be told.
pub(super) fn is_n8n(
    workplace: &Workplace,
    place: &Place,
    live: &Source,
) -> std::result::Result<bool, String> {
    if place.addresses.is_empty() {
        return Err(format!("nobody knows the host {}", place.host));
    }
    let live = place_of_n8n(workplace, live)?;
    let is_one = live.is(place);
    if !is_one && live.addresses.is_empty() {
        return Err(format!("nobody knows the host {}", live.host));
    }
    Ok(is_one)
}

/// Where an n8n answers.
fn place_of_n8n(workplace: &Workplace, source: &Source) -> std::result::Result<Place, String> {
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
    if !is_of_this_host(&own.prefix) || !is_of_this_host(&live.prefix) {
        return unknown("a prefix may lead to another host or container: give them a url with host and port");
    }
    let (Some(own), Some(live)) = (hosts(&a.connection), hosts(&b.connection)) else {
        return unknown("their connection is not told by host and port");
    };
    if own.iter().any(|a| live.iter().any(|b| a.is(b))) {
        return Some("they are of one server".to_owned());
    }
    let lost = own.iter().chain(&live).find(|place| place.addresses.is_empty());
    lost.and_then(|place| unknown(&format!("nobody knows the host {}", place.host)))
}

/// Whether programs run behind a prefix as they would without it, but for their user.
fn is_of_this_host(prefix: &[String]) -> bool {
    let words: Vec<&str> = prefix.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => true,
        [program, "-u", _] | [program, "-u", _, "--"] => {
            AS_USER.contains(&program.rsplit('/').next().unwrap_or(program))
        }
        _ => false,
    }
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
        let (is_here, other_is_here) = (self.is_here(), other.is_here());
        self.host == other.host
            || self.addresses.iter().any(|address| other.addresses.contains(address))
            || (is_here && (other_is_here || other.may_be_contained()))
            || (other_is_here && self.may_be_contained())
    }

    /// Whether it is this host, by whatever address: one that can be listened at is one of it.
    fn is_here(&self) -> bool {
        let listens = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
        let is_own = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified() || listens(ip);
        self.addresses.iter().any(|address| is_own(address.ip()))
    }

    /// Whether it may be a container of this host, whose port is this host's too.
    fn may_be_contained(&self) -> bool {
        self.addresses.iter().any(|address| match address.ip() {
            IpAddr::V4(ip) => matches!(ip.octets(), [172, 16..=31, _, _]),
            IpAddr::V6(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
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
        // A container of this host is reached at its own address and at this host's.
        assert!(is("http://localhost:5678", "http://172.17.0.2:5678"));
    }

    #[test]
    fn behind_a_prefix_it_is_this_host_only_for_another_user() {
        let is = |words: &[&str]| is_of_this_host(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        for here in [&[][..], &["sudo", "-u", "postgres"], &["/usr/sbin/runuser", "-u", "postgres", "--"]] {
            assert!(is(here), "{here:?}");
        }
        for elsewhere in [
            &["docker", "exec", "-i", "db"][..],
            &["sudo", "docker", "exec", "db"],
            &["sudo", "-u", "postgres", "ssh", "db"],
            &["env", "PGHOST=db"],
        ] {
            assert!(!is(elsewhere), "{elsewhere:?}");
        }
    }

    #[test]
    fn one_place_is_known_by_every_name_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("prod/below")).unwrap();
        std::fs::write(at("bus"), "").unwrap();
        std::fs::hard_link(at("bus"), at("second")).unwrap();
        std::os::unix::fs::symlink(at("prod"), at("link")).unwrap();
        for (a, b) in
            [("bus", "second"), ("link", "prod"), ("prod", "prod/below"), ("link/below/new", "prod")]
        {
            assert!(overlap(&at(a), &at(b)).unwrap() && overlap(&at(b), &at(a)).unwrap(), "{a} {b}");
        }
        for (a, b) in [("prod", "bus"), ("prod", "production"), ("new", "prod")] {
            assert!(!overlap(&at(a), &at(b)).unwrap(), "{a} {b}");
        }
    }
}
