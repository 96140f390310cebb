//! What opens a repository: a password or a key, from an option, the environment, the configuration or a key file.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chronos_server::Config;
use chronos_store::Secret;

use crate::context::{key_file, variable};
use crate::error::Failure;
use crate::global::Global;

/// Longest password that is read, in bytes.
const PASSWORD_BYTES_MAX: usize = 4096;

/// Where a secret comes from, in words that follow "the".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// A password, from a file, a command or a variable.
    Password(String),
    /// A key file.
    Key(PathBuf),
}

/// The secret that somebody named, if anybody did: options, then variables, then credentials, then configuration.
pub(crate) fn given(global: &Global, config: &Config) -> Result<Option<Given>, Failure> {
    if let Some(path) = &global.password_file {
        return password_file(path).map(Some);
    }
    if let Some(command) = &global.password_command {
        return password_command(command).map(Some);
    }
    if let Some(path) = &global.key_file {
        return Ok(Some(Given::Key(path.clone())));
    }
    if let Some(password) = variable("CHRONOS_PASSWORD") {
        return first_line(&password, "CHRONOS_PASSWORD").map(Some);
    }
    if let Some(path) = variable("CHRONOS_PASSWORD_FILE") {
        return password_file(Path::new(&path)).map(Some);
    }
    if let Some(path) = variable("CHRONOS_KEY_FILE") {
        return Ok(Some(Given::Key(path.into())));
    }
    if let Some(folder) = variable("CREDENTIALS_DIRECTORY") {
        let file = |name: &str| Some(Path::new(&folder).join(name)).filter(|p| p.is_file());
        if let Some(path) = file("chronos-password") {
            return password_file(&path).map(Some);
        }
        if let Some(path) = file("chronos-key") {
            return Ok(Some(Given::Key(path)));
        }
    }
    let repository = &config.repository;
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
    pub(crate) fn secret(&self) -> Result<Secret, Failure> {
        match self {
            Self::Password(text) => Ok(Secret::Password(text.clone())),
            Self::Key(path) => Ok(Secret::Key(key_file::read(path)?)),
        }
    }
}

/// The first line of a file.
pub(crate) fn password_file(path: &Path) -> Result<Given, Failure> {
    let unreadable = |e: std::io::Error| Failure::usage(format!("password file {}: {e}", path.display()));
    let mut bytes = Vec::new();
    fs::File::open(path)
        .map_err(unreadable)?
        .take(PASSWORD_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let name = format!("password file {}", path.display());
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{name}: not UTF-8 text")))?;
    first_line(&text, &name)
}

/// The first line that a command prints.
pub(crate) fn password_command(command: &str) -> Result<Given, Failure> {
    let failed = |why: String| Failure::usage(format!("password command {command:?}: {why}"));
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
    first_line(&text, &format!("password command {command:?}"))
}

fn first_line(text: &str, name: &str) -> Result<Given, Failure> {
    let line = text.lines().next().unwrap_or_default();
    match line.len() {
        0 => Err(Failure::usage(format!("{name}: its first line is empty"))
            .hint("without any password a new repository gets a key file")),
        1..=PASSWORD_BYTES_MAX => Ok(Given::Password(line.to_owned())),
        _ => Err(Failure::usage(format!("{name}: longer than {PASSWORD_BYTES_MAX} bytes"))),
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
