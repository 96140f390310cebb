//! Where a repository lies, as users write it.

use std::fmt;
use std::path::PathBuf;

use chronos_store::backend::{BackendError, BackendResult};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

/// What is escaped in names, in paths, and in values of options.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &NAME.remove(b'/');
const VALUE: &AsciiSet = &PATH.remove(b':');

/// A place for a repository. Its text, by [`fmt::Display`], leads back to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Local(PathBuf),
    /// A bucket of an object store, or a part of it.
    Bucket(Bucket),
    /// A folder of another host.
    Sftp(SftpPlace),
}

/// Whose protocol an object store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3, and whatever is compatible with it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Provider {
    const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];

    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

/// How the name of a bucket is told to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As the first part of the path.
    Path,
    /// As the first part of the host's name.
    Virtual,
}

/// A bucket, or what is below a prefix in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Who keeps it.
    pub provider: Provider,
    /// Its name.
    pub name: String,
    /// What all names begin with: empty, or segments joined by `/`.
    pub prefix: String,
    /// The server, if another than the provider's own or that of the environment (`endpoint`).
    pub endpoint: Option<String>,
    /// Its region (`region`).
    pub region: Option<String>,
    /// The profile of the files of AWS that has the keys (`profile`).
    pub profile: Option<String>,
    /// How the bucket is named to the server (`style`).
    pub style: Option<Style>,
}

/// A folder of another host, reached by the user's own `ssh`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SftpPlace {
    /// The user there, if not the one that `ssh` takes.
    pub user: Option<String>,
    /// The host, or an alias of the configuration of `ssh`.
    pub host: String,
    /// The port, if not the one that `ssh` takes.
    pub port: Option<u16>,
    /// The folder: absolute, or relative to where `ssh` logs in.
    pub path: String,
}

impl Location {
    /// Understands `path`, `file:path`, `s3://bucket/prefix`, `gs://…`, `az://…` and `sftp://user@host:port/path`.
    ///
    /// Of a bucket `?endpoint=…&region=…&profile=…&style=path|virtual` may follow. A path after `sftp://host/~/` is relative to the home there.
    ///
    /// # Errors
    /// [`BackendError::Invalid`] says what is wrong.
    pub fn parse(text: &str) -> BackendResult<Self> {
        let invalid = |why: &str| {
            BackendError::Invalid(format!("repository location {:?}: {why}", without_secrets(text)))
        };
        if text.is_empty() || text.contains('\0') {
            return Err(invalid("not a path"));
        }
        if let Some(rest) = text.strip_prefix("file:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return if path.is_empty() { Err(invalid("no path")) } else { Ok(Self::Local(path.into())) };
        }
        let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) else {
            return Ok(Self::Local(text.into()));
        };
        let provider = Provider::ALL.into_iter().find(|p| p.scheme() == scheme);
        if provider.is_none() && scheme != "sftp" {
            return Err(invalid("only paths, s3://, gs://, az:// and sftp:// are known"));
        }
        // A URL's reader would fold these, and lead elsewhere than what is written.
        if text.split(['/', '?']).any(|part| part == "." || part == "..") {
            return Err(invalid("it may not have . or .. in it"));
        }
        let url = Url::parse(text).map_err(|e| invalid(&e.to_string()))?;
        let endpoint = url.query_pairs().find(|(key, _)| key == "endpoint");
        let endpoint = endpoint.and_then(|(_, value)| Url::parse(&value).ok());
        let of_endpoint = endpoint.as_ref().and_then(secret_of).map(|why| format!("its endpoint {why}"));
        if let Some(why) = url.password().map(|_| format!("it {SECRET}")).or(of_endpoint) {
            return Err(invalid(&why));
        }
        if url.fragment().is_some() {
            return Err(invalid("nothing may follow after #"));
        }
        match provider {
            Some(provider) => Bucket::of(provider, &url).map(Self::Bucket),
            None => SftpPlace::of(&url).map(Self::Sftp),
        }
        .map_err(|why| invalid(&why))
    }
}

/// Why secrets are not taken here.
const SECRET: &str =
    "has a password or a key in it, where it does not belong: it is shown and kept in many places";

/// Why a server's address cannot be kept and shown, if it has more than an address.
pub(crate) fn secret_of(url: &Url) -> Option<&'static str> {
    let has_more = !url.username().is_empty() || url.password().is_some() || url.query().is_some();
    has_more.then_some(SECRET)
}

/// What a person wrote, without what may be secret in it: user and password, and all options.
fn without_secrets(text: &str) -> String {
    let place = text.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = place.split_once("://") else { return place.to_owned() };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let mark = if host == rest { "" } else { "…@" };
    let options = if place == text { "" } else { "?…" };
    format!("{scheme}://{mark}{host}{options}")
}

impl Bucket {
    fn of(provider: Provider, url: &Url) -> Result<Self, String> {
        let name = url.host_str().unwrap_or_default().to_owned();
        if name.is_empty() || !url.username().is_empty() || url.port().is_some() {
            return Err(format!(
                "write it as {}://BUCKET/PREFIX; a server is named by ?endpoint=",
                provider.scheme()
            ));
        }
        let prefix = url.path().trim_matches('/').to_owned();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let is_segment = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
        if !prefix.is_empty() && !prefix.split('/').all(is_segment) {
            return Err("a prefix has letters, digits, '.', '_' and '-' in parts that do not begin with '.'"
                .to_owned());
        }
        let mut bucket =
            Self { provider, name, prefix, endpoint: None, region: None, profile: None, style: None };
        for (key, value) in url.query_pairs() {
            let value = value.into_owned();
            match (provider, &*key) {
                (_, "endpoint") => bucket.endpoint = Some(value),
                (Provider::S3, "region") => bucket.region = Some(value),
                (Provider::S3, "profile") => bucket.profile = Some(value),
                (Provider::S3, "style") => bucket.style = Some(style(&value)?),
                _ => return Err(format!("{key:?} is no option of such a place")),
            }
        }
        Ok(bucket)
    }
}

fn style(text: &str) -> Result<Style, String> {
    match text {
        "path" => Ok(Style::Path),
        "virtual" => Ok(Style::Virtual),
        _ => Err(format!("style is path or virtual, not {text:?}")),
    }
}

impl SftpPlace {
    fn of(url: &Url) -> Result<Self, String> {
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| "it is not UTF-8".to_owned())?;
            // What begins like an option would be one for ssh.
            if text.starts_with('-') || text.contains(char::is_control) {
                return Err(format!("{text:?} cannot be told to ssh"));
            }
            Ok(text.into_owned())
        };
        let host = decoded(url.host_str().unwrap_or_default())?;
        let path = decoded(url.path())?;
        let path = path.strip_prefix("/~/").map_or(path.clone(), str::to_owned);
        if host.is_empty() || path.trim_matches('/').is_empty() || url.query().is_some() {
            return Err("write it as sftp://USER@HOST:PORT/FOLDER".to_owned());
        }
        let user = Some(decoded(url.username())?).filter(|user| !user.is_empty());
        Ok(Self { user, host, port: url.port(), path })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Bucket(bucket) => bucket.fmt(f),
            Self::Sftp(place) => place.fmt(f),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.provider.scheme(), self.name)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        let style = self.style.map(|style| if style == Style::Path { "path" } else { "virtual" });
        let options = [
            ("endpoint", self.endpoint.as_deref()),
            ("region", self.region.as_deref()),
            ("profile", self.profile.as_deref()),
            ("style", style),
        ];
        let set = options.into_iter().filter_map(|(key, value)| Some((key, value?)));
        set.enumerate().try_for_each(|(n, (key, value))| {
            write!(f, "{}{key}={}", if n == 0 { '?' } else { '&' }, utf8_percent_encode(value, VALUE))
        })
    }
}

impl fmt::Display for SftpPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sftp://")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", utf8_percent_encode(user, NAME))?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        let home = if self.path.starts_with('/') { "" } else { "/~/" };
        write!(f, "{home}{}", utf8_percent_encode(&self.path, PATH))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use chronos_store::ErrorKind;

    use super::*;

    #[test]
    fn locations_are_told_apart() {
        let local = |text: &str, path: &str| {
            assert_eq!(Location::parse(text).unwrap(), Location::Local(path.into()), "{text}");
        };
        local("/srv/backup", "/srv/backup");
        local("backup", "backup");
        local("./a://b", "./a://b");
        local("file:///srv/backup", "/srv/backup");
        local("file:backup", "backup");
        local("c:backup", "c:backup");
        for bad in [
            "",
            "file:",
            "file://",
            "http://x/y",
            "rest://x",
            "a\0b",
            "s3://",
            "s3:///x",
            "s3://b:9000/x",
            "s3://b/../x",
            "s3://b/a%20b",
            "s3://b/.x",
            "s3://b/x?style=odd",
            "s3://b/x?speed=1",
            "s3://b/x#y",
            "gs://b/x?region=y",
            "sftp://host",
            "sftp://host/",
            "sftp://-oProxyCommand=x/y",
            "sftp:///x",
            "sftp://me:secret@host/x",
            "sftp://host/x?y=z",
        ] {
            let parsed = Location::parse(bad);
            assert_eq!(parsed.map_err(|e| e.kind()), Err(ErrorKind::Refused), "{bad}");
        }
    }

    #[test]
    fn keys_and_passwords_are_refused_and_not_told_again() {
        for text in [
            "sftp://me:secret@host/x",
            "s3://b/p?endpoint=https://key:secret@s3.example.com",
            "s3://b/p?endpoint=https://secret@s3.example.com",
            "az://b/p?endpoint=https://x.example.com/?sig%3Dsecret",
            "s3://b/p?secret_key=secret",
            "s3://b:secret@x/p",
            "ftp://me:secret@host/x",
        ] {
            let told = Location::parse(text).unwrap_err().to_string();
            assert!(!told.replace("\"secret_key\"", "").contains("secret"), "{told}");
        }
    }

    #[test]
    fn a_location_is_written_as_it_is_read() {
        for text in [
            "s3://bucket",
            "s3://bucket/a/B-c_d.e",
            "s3://b/p?endpoint=https://s3.example.com:9000&region=eu-1",
            "s3://b?profile=back%20up&style=path",
            "gs://b/p",
            "az://b/p?endpoint=http://127.0.0.1:10000/account",
            "sftp://host/srv/backup",
            "sftp://me@host:2222/srv/back%20up",
            "sftp://host/~/backup",
            "/srv/x",
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!(location.to_string(), text);
        }
        let Location::Sftp(place) = Location::parse("sftp://me@host:22/~/a%2fb").unwrap() else { panic!() };
        let parts = (place.user.as_deref(), &*place.host, place.port, &*place.path);
        assert_eq!(parts, (Some("me"), "host", Some(22), "a/b"));
    }
}
