//! The file of tokens: one line each, `ROLE HASH NAME`; lines that begin with `#` are for people.
//!
//! What always holds: no token stands in it. A token is 32 random bytes, so that one hash of it is as good as a slow one.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::Env;

use crate::error::{Error, Result};
use crate::http::auth::Role;
use crate::targets::check_target_name;
use crate::values::shown;

/// What tokens are hashed for, so that a hash of the same secret elsewhere is another one.
const CONTEXT: &str = "chronos v1 token of the http service";
/// How a token begins, so that it is known where it turns up.
const PREFIX: &str = "chronos_";
/// Most tokens: every request is compared with each.
const TOKENS_MAX: usize = 1000;
/// Others may not write the file.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A token that is known.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it lets its holder do.
    pub role: Role,
    /// Whose it is.
    pub name: Arc<str>,
    hash: blake3::Hash,
}

/// The tokens of a file, as they stood when it was read.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    all: Vec<Token>,
}

impl Tokens {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Value`] that names the line, and where others may write the file.
    pub fn read(path: &Path) -> Result<Self> {
        let local = |e| Error::local(path, e);
        let bad = |why: String| Error::Value { place: format!("token file {}", shown(path)), why };
        if fs::metadata(path).map_err(local)?.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(bad("others may write it: chmod 600".to_owned()));
        }
        let text = fs::read_to_string(path).map_err(local)?;
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            all.push(parse(line).map_err(|why| bad(format!("line {}: {why}", number + 1)))?);
        }
        if all.len() > TOKENS_MAX {
            return Err(bad(format!("{} tokens are too many", all.len())));
        }
        Ok(Self { all })
    }

    /// All, in the order of the file.
    pub fn all(&self) -> &[Token] {
        &self.all
    }

    /// The token that somebody sent. Hashes are compared in constant time, and all of them.
    pub fn find(&self, token: &str) -> Option<Token> {
        let hash = hashed(token);
        let mut found = None;
        for known in &self.all {
            if known.hash == hash {
                found = Some(known.clone());
            }
        }
        found
    }
}

/// Makes a token, and adds its hash to a file, which is made if it is not there.
///
/// # Errors
/// [`Error::Value`] for a name that is no name or is taken.
pub fn add(path: &Path, role: Role, name: &str, env: &Env) -> Result<String> {
    let bad = |why: String| Error::Value { place: format!("token file {}", shown(path)), why };
    check_target_name(name).map_err(|why| bad(why.replace("target's", "token's")))?;
    let known = if path.exists() { Tokens::read(path)? } else { Tokens::default() };
    if known.all.iter().any(|t| *t.name == *name) {
        return Err(bad(format!("it has a token {name:?} already")));
    }
    let token = format!("{PREFIX}{}", hex::encode(env.random_bytes::<32>()?));
    let line = format!("{role} {} {name}\n", hashed(&token).to_hex());
    let local = |e| Error::local(path, e);
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(local)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(local)?;
    Ok(token)
}

fn hashed(token: &str) -> blake3::Hash {
    blake3::Hash::from_bytes(blake3::derive_key(CONTEXT, token.as_bytes()))
}

fn parse(line: &str) -> Result<Token, String> {
    let mut words = line.split_whitespace();
    let (Some(role), Some(hash), Some(name), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("it is not ROLE HASH NAME".to_owned());
    };
    let hash = blake3::Hash::from_hex(hash).map_err(|_| "the hash is not 64 hex digits".to_owned())?;
    Ok(Token { role: role.parse()?, name: name.into(), hash })
}

/// The tokens of a file that may change while the service runs: a token that is taken out is let in no more.
#[derive(Debug)]
pub(crate) struct Watched {
    path: Option<PathBuf>,
    read: Mutex<(Option<Stamp>, Tokens)>,
}

/// By what a change of the file is seen.
type Stamp = (u64, u64, i64, i64);

impl Watched {
    /// Reads the file, if there is to be one.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self> {
        let watched = Self { path, read: Mutex::default() };
        watched.now()?;
        Ok(watched)
    }

    /// The tokens as they are now.
    pub(crate) fn now(&self) -> Result<Tokens> {
        let Some(path) = &self.path else { return Ok(Tokens::default()) };
        let meta = fs::metadata(path).map_err(|e| Error::local(path, e))?;
        let stamp = (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != Some(stamp) {
            *read = (Some(stamp), Tokens::read(path)?);
        }
        Ok(read.1.clone())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_found_by_itself_alone_and_does_not_stand_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        let token = add(&path, Role::Backup, "deployer", &Env::system()).unwrap();
        let other = add(&path, Role::Admin, "me", &Env::system()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&token) && !text.contains(&other));
        let tokens = Tokens::read(&path).unwrap();
        let found = tokens.find(&token).unwrap();
        assert_eq!((found.role, &*found.name), (Role::Backup, "deployer"));
        assert!(tokens.find("chronos_").is_none() && tokens.find("").is_none());
        assert!(add(&path, Role::Read, "me", &Env::system()).is_err(), "a name is taken once");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_meant_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        for bad in ["admin abc me", "root 00 me", "admin"] {
            fs::write(&path, format!("# mine\n{bad}\n")).unwrap();
            assert!(Tokens::read(&path).unwrap_err().to_string().contains("line 2"), "{bad}");
        }
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(Tokens::read(&path).unwrap_err().to_string().contains("chmod"));
    }

    #[test]
    fn a_file_that_changes_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        fs::write(&path, "# none\n").unwrap();
        let watched = Watched::open(Some(path.clone())).unwrap();
        let token = add(&path, Role::Read, "me", &Env::system()).unwrap();
        assert!(watched.now().unwrap().find(&token).is_some());
        fs::write(&path, "# none left\n").unwrap();
        assert!(watched.now().unwrap().find(&token).is_none());
    }
}
