//! The encrypted credentials of an n8n on trial: whether the key that the same snapshot holds opens them.
//!
//! What always holds: a key is named by the file that it stands in, and never told.

use chronos_connect::Secret;
use chronos_connect::n8n::closed_to;
use chronos_snapshot::{ByteRange, NodeKind, TreePath, counted};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::operations::drill::files::Restored;
use crate::operations::drill::findings::Findings;
use crate::operations::drill::trial::Trial;

/// The export of the credentials with their values, in the folder of a source.
const EXPORT: &str = "credentials_encrypted.json";
/// The file in which n8n keeps its key, in its folder.
const CONFIG: &[u8] = b"config";
const FOLDER: &[u8] = b".n8n";
/// The variable that has it otherwise.
const VARIABLE: &str = "N8N_ENCRYPTION_KEY";
/// Endings of files in which such a variable may be set.
const ENDINGS: [&[u8]; 3] = [b".env", b".yml", b".yaml"];
/// No file of settings is longer.
const FILE_MAX: u64 = 1 << 20;
/// Credentials that are named.
const SHOWN: usize = 5;

/// Tries every key of the snapshot on the encrypted credentials of a source, if it has any.
pub(super) fn tried(trial: &Trial<'_>, place: &Restored, found: &mut Findings) -> Result<()> {
    let Some(path) = place.files()?.into_iter().find(|p| p.file_name().is_some_and(|n| n == EXPORT)) else {
        return Ok(());
    };
    let export = std::fs::read(&path).map_err(|e| Error::local(&path, e))?;
    let mut closed_to_all = None;
    for (file, key) in keys(trial)? {
        match closed_to(&key, &export) {
            Err(why) => {
                found.fails(format!("{EXPORT}: {why}"));
                return Ok(());
            }
            Ok(closed) if closed.is_empty() => {
                found.holds(format!("its encrypted credentials open with the key in {file}"));
                return Ok(());
            }
            Ok(closed) => closed_to_all = Some((file, closed)),
        }
    }
    match closed_to_all {
        Some((file, closed)) => {
            let shown = closed.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            let count = counted(closed.len(), "credential");
            found.fails(format!("{count} of it cannot be decrypted with the key in {file}: {shown}"));
        }
        None => found
            .holds("whether its encrypted credentials open is not known: the snapshot has no key of an n8n"),
    }
    Ok(())
}

/// The keys that the files of the snapshot hold, each with its file.
fn keys(trial: &Trial<'_>) -> Result<Vec<(String, Secret)>> {
    let mut keys = Vec::new();
    for entry in trial.tree.range(&TreePath::root()) {
        let (path, node) = entry?;
        let is_config = path.name() == CONFIG && path.parent().is_some_and(|folder| folder.name() == FOLDER);
        let is_setting = ENDINGS.iter().any(|ending| path.name().ends_with(ending));
        let is_file = matches!(node.kind, NodeKind::File(_)) && node.size() <= FILE_MAX;
        if !is_file || !(is_config || is_setting) {
            continue;
        }
        let mut bytes = Vec::new();
        trial.tree.cat(&path, ByteRange::ALL, &mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let key = if is_config { of_config(&text) } else { of_settings(&text) };
        keys.extend(key.map(|key| (format!("/{path}"), Secret::new(key))));
    }
    Ok(keys)
}

fn of_config(text: &str) -> Option<String> {
    let config: Value = serde_json::from_str(text).ok()?;
    config.get("encryptionKey")?.as_str().map(str::to_owned)
}

/// The value of the variable in a file of variables or of containers.
fn of_settings(text: &str) -> Option<String> {
    let value = |line: &str| {
        let line = line.trim_start().trim_start_matches("- ").trim_start_matches("export ");
        let line = line.trim_start_matches(['"', '\'']);
        let rest = line.strip_prefix(VARIABLE)?.trim_start();
        let value = rest.strip_prefix(['=', ':'])?.trim().trim_matches(['"', '\'']);
        // What is taken from elsewhere is not here.
        (!value.is_empty() && !value.starts_with('$')).then(|| value.to_owned())
    };
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_every_way_that_it_is_set() {
        for text in [
            "A=1\nN8N_ENCRYPTION_KEY=k-1\n",
            "export N8N_ENCRYPTION_KEY=\"k-1\"",
            "    environment:\n      - N8N_ENCRYPTION_KEY=k-1\n",
            "      - \"N8N_ENCRYPTION_KEY=k-1\"\n",
            "      N8N_ENCRYPTION_KEY: 'k-1'\n",
        ] {
            assert_eq!(of_settings(text).as_deref(), Some("k-1"), "{text}");
        }
        for text in [
            "N8N_ENCRYPTION_KEY=${KEY}",
            "# N8N_ENCRYPTION_KEY=x",
            "N8N_ENCRYPTION_KEY_FILE=/x",
            "N8N_ENCRYPTION_KEY=",
        ] {
            assert_eq!(of_settings(text), None, "{text}");
        }
        assert_eq!(of_config("{\"encryptionKey\": \"k-1\"}").as_deref(), Some("k-1"));
        assert_eq!(of_config("key"), None);
    }
}
