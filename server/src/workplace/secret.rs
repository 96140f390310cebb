//! What opens a repository: a password or a key, from an option, the environment, the configuration or a key file.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chronos_store::Secret;

use crate::config::RepositoryConfig;
use crate::error::{Error, Result};
use crate::workplace::choices::{Choices, Variables};
use crate::workplace::key_file;

/// Longest password that is read, in bytes.
const PASSWORD_BYTES_MAX: usize = 4096;

/// Names of the credentials of a service: a password, and a key file.
const CREDENTIALS: [&str; 2] = ["chronos-password", "chronos-key"];

/// Where a secret comes from, in words that follow "the".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A password, from a file, a command or a variable.
    Password(String),
    /// A key file.
    Key(PathBuf),
}

/// What options name that opens a repository.
#[derive(Clone, Debug, Default)]
pub struct Opener {
    /// File whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Command that prints the password.
    pub password_command: Option<String>,
    /// Key file.
    pub key_file: Option<PathBuf>,
}

impl Opener {
    /// What the options name, or else the variables that begin with `prefix`.
    pub(super) fn named(&self, prefix: &str, variables: &Variables) -> Result<Option<Given>> {
        let name = |rest: &str| format!("{prefix}{rest}");
        if let Some(path) = &self.password_file {
            return password_file(path).map(Some);
        }
        if let Some(command) = &self.password_command {
            return password_command(command).map(Some);
        }
        if let Some(path) = &self.key_file {
            return Ok(Some(Given::Key(path.clone())));
        }
        if let Some(password) = variables.text(&name("PASSWORD")) {
            return first_line(&password, &name("PASSWORD")).map(Some);
        }
        if let Some(path) = variables.text(&name("PASSWORD_FILE")) {
            return password_file(Path::new(&path)).map(Some);
        }
        Ok(variables.text(&name("KEY_FILE")).map(|path| Given::Key(path.into())))
    }
}

/// The files that options, variables and credentials take what opens repositories from.
pub(super) fn files(choices: &Choices, variables: &Variables) -> Vec<PathBuf> {
    let names =
        ["CHRONOS_PASSWORD_FILE", "CHRONOS_KEY_FILE", "CHRONOS_TO_PASSWORD_FILE", "CHRONOS_TO_KEY_FILE"];
    let named = names.map(|name| variables.path(name));
    let folder = variables.path("CREDENTIALS_DIRECTORY");
    let credentials = folder.into_iter().flat_map(|folder| CREDENTIALS.map(|name| folder.join(name)));
    let chosen = [choices.password_file.clone(), choices.key_file.clone()];
    chosen.into_iter().chain(named).flatten().chain(credentials).collect()
}

/// The secret that somebody named, if anybody did: options, then variables, then credentials.
pub(super) fn named(choices: &Choices, variables: &Variables) -> Result<Option<Given>> {
    let opener = Opener {
        password_file: choices.password_file.clone(),
        password_command: choices.password_command.clone(),
        key_file: choices.key_file.clone(),
    };
    if let Some(given) = opener.named("CHRONOS_", variables)? {
        return Ok(Some(given));
    }
    if let Some(folder) = variables.text("CREDENTIALS_DIRECTORY") {
        let file = |name: &str| Some(Path::new(&folder).join(name)).filter(|p| p.is_file());
        let [password, key] = CREDENTIALS;
        if let Some(path) = file(password) {
            return password_file(&path).map(Some);
        }
        if let Some(path) = file(key) {
            return Ok(Some(Given::Key(path)));
        }
    }
    Ok(None)
}

/// The secret that the configuration names.
pub(super) fn configured(repository: &RepositoryConfig) -> Result<Option<Given>> {
    if let Some(path) = &repository.password_file {
        return password_file(path).map(Some);
    }
    if let Some(command) = &repository.password_command {
        return password_command(command).map(Some);
    }
    Ok(repository.key_file.clone().map(Given::Key))
}

impl Given {
    /// The secret itself.
    pub fn secret(&self) -> Result<Secret> {
        match self {
            Self::Password(text) => Ok(Secret::Password(text.clone())),
            Self::Key(path) => Ok(Secret::Key(key_file::read(path)?)),
        }
    }
}

/// The first line of a file.
pub fn password_file(path: &Path) -> Result<Given> {
    let name = format!("password file {}", path.display());
    let wrong = |why: String| Error::Secret { place: name.clone(), why };
    let unreadable = |e: std::io::Error| wrong(e.to_string());
    let mut bytes = Vec::new();
    fs::File::open(path)
        .map_err(unreadable)?
        .take(PASSWORD_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8 text".into()))?;
    first_line(&text, &name)
}

/// The first line that a command prints.
pub fn password_command(command: &str) -> Result<Given> {
    let name = format!("password command {command:?}");
    let failed = |why: String| Error::Secret { place: name.clone(), why };
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| failed("its output is not UTF-8 text".into()))?;
    first_line(&text, &name)
}

/// The first line of a text, which is a password.
pub fn first_line(text: &str, name: &str) -> Result<Given> {
    let line = text.lines().next().unwrap_or_default();
    match line.len() {
        0 => Err(Error::EmptyPassword { place: name.to_owned() }),
        1..=PASSWORD_BYTES_MAX => Ok(Given::Password(line.to_owned())),
        _ => Err(Error::Secret {
            place: name.to_owned(),
            why: format!("longer than {PASSWORD_BYTES_MAX} bytes"),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
    use super::*;

    #[test]
    fn the_first_line_counts_and_an_empty_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        fs::write(&path, "secret \r\nmore\n").unwrap();
        assert_eq!(password_file(&path).unwrap(), Given::Password("secret ".into()));
        fs::write(&path, "\nmore\n").unwrap();
        assert!(password_file(&path).is_err());
        assert_eq!(password_command("echo a; echo b").unwrap(), Given::Password("a".into()));
        assert!(password_command("echo a; exit 3").is_err());
    }
}
