//! Secrets by reference: the configuration says where a secret is, and its value is fetched when it is used.
//!
//! Neither a reference nor a value is ever shown: what is written out of a secret that stands in the file itself is a mark.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronos_connect::{Process, Secret};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::values::{nearest, shown};

/// Longest secret in bytes; keys of n8n are tokens of some hundred.
const SECRET_BYTES_MAX: usize = 64 << 10;
/// How long a command that prints a secret may take: a password manager that asks a person is given up.
const COMMAND_LIMIT: Duration = Duration::from_mins(1);
/// What is shown in place of a secret.
const MARK: &str = "…";
/// The words by which a secret is named.
const WORDS: [&str; 4] = ["env", "file", "command", "credential"];

/// Where a secret is.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// Here.
    Plain(Secret),
    /// In an environment variable.
    Env(String),
    /// The first line of a file.
    File(PathBuf),
    /// The first line that a shell command prints.
    Command(String),
    /// A systemd credential of this name.
    Credential(String),
}

impl SecretRef {
    /// The value; `get` reads environment variables.
    ///
    /// # Errors
    /// [`Error::Secret`] names the place, never what is in it.
    pub fn resolve(&self, get: &dyn Fn(&str) -> Option<String>) -> Result<Secret> {
        let place = self.place();
        let wrong = |why: &str| Error::Secret { place: place.clone(), why: why.to_owned() };
        let text = match self {
            Self::Plain(secret) => return Ok(secret.clone()),
            Self::Env(name) => get(name).ok_or_else(|| wrong("it is not set"))?,
            Self::File(path) => read(path).map_err(|why| wrong(&why))?,
            Self::Credential(name) => {
                let folder = get("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| wrong("CREDENTIALS_DIRECTORY is not set: systemd gave no credentials"))?;
                read(&Path::new(&folder).join(name)).map_err(|why| wrong(&why))?
            }
            Self::Command(command) => {
                let process =
                    Process::new(["sh", "-c", command]).with_secrets().time_limit(Some(COMMAND_LIMIT));
                let printed = process.output(SECRET_BYTES_MAX).map_err(|e| wrong(&e.to_string()))?;
                String::from_utf8(printed).map_err(|_| wrong("its output is not UTF-8 text"))?
            }
        };
        match text.lines().next().unwrap_or_default() {
            "" => Err(Error::EmptyPassword { place }),
            line => Ok(Secret::new(line)),
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Plain(_) => "the configuration itself".to_owned(),
            Self::Env(name) => format!("environment variable {name}"),
            Self::File(path) => format!("file {}", shown(path)),
            Self::Command(command) => format!("command {command:?}"),
            Self::Credential(name) => format!("credential {name}"),
        }
    }

    /// Whether it stands in the configuration itself.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Whether nobody can find it: what is named is empty.
    pub(crate) fn wrong(&self) -> Option<&'static str> {
        match self {
            Self::Plain(secret) if secret.reveal().is_empty() => Some("is empty"),
            Self::Env(text) | Self::Command(text) if text.trim().is_empty() => Some("names nothing"),
            Self::Env(name) if name.contains(['=', '\0']) => Some("is no name of a variable"),
            Self::File(path) if path.as_os_str().is_empty() => Some("names no file"),
            Self::Credential(name) if name.is_empty() || name.contains('/') || name.starts_with('.') => {
                Some("is no name of a credential")
            }
            _ => None,
        }
    }

    /// Lets a file that it names start from `folder`.
    pub(crate) fn make_absolute(&mut self, folder: &Path) {
        if let Self::File(path) = self
            && !path.as_os_str().is_empty()
        {
            *path = folder.join(&*path);
        }
    }
}

/// Writes an address: it may hold a password, of which nothing is written.
#[expect(clippy::ref_option, reason = "as serde asks for it")]
pub(crate) fn serialize_address<S: Serializer>(
    address: &Option<SecretRef>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match address {
        Some(SecretRef::Plain(address)) => serializer.serialize_str(&without_password(address.reveal())),
        other => other.serialize(serializer),
    }
}

/// An address as it may be shown. What cannot be taken apart for sure is not shown at all.
pub(crate) fn without_password(address: &str) -> String {
    let parts = || {
        let (scheme, rest) = address.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if tail.contains('@') {
            return None;
        }
        let tail = match tail.split_once('?') {
            Some((path, query)) if query.contains("pass") => format!("{path}?{MARK}"),
            _ => tail.to_owned(),
        };
        let authority = match authority.rsplit_once('@') {
            Some((user, host)) => match user.split_once(':') {
                Some((user, _)) => format!("{user}:{MARK}@{host}"),
                None => authority.to_owned(),
            },
            None => authority.to_owned(),
        };
        Some(format!("{scheme}://{authority}{tail}"))
    };
    parts().unwrap_or_else(|| MARK.to_owned())
}

/// Writes the address of a webhook: whoever knows all of it may post there, so that only its server is written.
pub(crate) fn serialize_receiver<S: Serializer>(
    address: &str,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&server_of(address))
}

/// The same, of one that may be absent.
#[expect(clippy::ref_option, reason = "as serde asks for it")]
pub(crate) fn serialize_receiver_if_any<S: Serializer>(
    address: &Option<String>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    address.as_deref().map(server_of).serialize(serializer)
}

/// The server of an address, and a mark for whatever follows.
fn server_of(address: &str) -> String {
    let shown = without_password(address);
    let begin = shown.find("://").map_or(0, |at| at + 3);
    let end = shown.get(begin..).and_then(|rest| rest.find(['/', '?', '#'])).map(|at| begin + at);
    match end.and_then(|end| shown.get(..end)) {
        Some(server) if shown.len() > server.len() + 1 => format!("{server}/{MARK}"),
        _ => shown,
    }
}

fn read(path: &Path) -> std::result::Result<String, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(format!("longer than {SECRET_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({})", self.place())
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let (word, text) = match self {
            Self::Plain(_) => return serializer.serialize_str(MARK),
            Self::Env(name) => ("env", name.clone()),
            Self::File(path) => ("file", path.to_string_lossy().into_owned()),
            Self::Command(command) => ("command", command.clone()),
            Self::Credential(name) => ("credential", name.clone()),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(word, &text)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a reference. Its errors never show a value.
struct Reader;

const EXPECTED: &str = "a secret is a text, or one of { env = \"…\" }, { file = \"…\" }, { command = \"…\" }, { credential = \"…\" }";

impl<'de> Visitor<'de> for Reader {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<SecretRef, E> {
        Ok(SecretRef::Plain(Secret::new(text)))
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> std::result::Result<SecretRef, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> std::result::Result<SecretRef, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> std::result::Result<SecretRef, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> std::result::Result<SecretRef, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> std::result::Result<SecretRef, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> std::result::Result<SecretRef, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<SecretRef, A::Error> {
        let Some(word) = map.next_key::<String>()? else { return Err(A::Error::custom(EXPECTED)) };
        if !WORDS.contains(&word.as_str()) {
            let hint = nearest(&word, WORDS).map(|n| format!(": did you mean {n}?")).unwrap_or_default();
            return Err(A::Error::custom(format!("unknown key {word} of a secret{hint}")));
        }
        let Ok(text) = map.next_value::<String>() else { return Err(A::Error::custom(EXPECTED)) };
        if map.next_key::<String>()?.is_some() {
            return Err(A::Error::custom(EXPECTED));
        }
        Ok(match word.as_str() {
            "env" => SecretRef::Env(text),
            "file" => SecretRef::File(text.into()),
            "command" => SecretRef::Command(text),
            _ => SecretRef::Credential(text),
        })
    }
}

#[cfg(test)]
mod tests;
