//! What an n8n holds, by its own command line: no key is needed, and archived workflows and all fields come as
//! they are stored. What is published but differs from the editor is not in it.
//!
//! `n8n export:workflow` writes one list in no order; it is split into a temporary file, then given in the order of the paths.
//! Of the credentials the encrypted export is a file of its own, if that is asked for.

use std::sync::mpsc::sync_channel;

use chronos_snapshot::{Item, SourcePart, Time, TreePath};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::n8n::node;
use crate::n8n::options::Parts;
use crate::n8n::said::Said;
use crate::n8n::spool::Spool;
use crate::n8n::workflow::{id_of_file, text_of, to_bytes};
use crate::process::Process;

/// Most that an export of credentials may be.
const CREDENTIALS_BYTES_MAX: usize = 256 << 20;

/// What is to be exported, and where it goes in the snapshot.
pub(super) struct Export {
    /// `n8n`, behind a prefix if it has one.
    pub(super) command: Process,
    /// Also `credentials_encrypted.json`: with the values, encrypted with the key of the instance.
    pub(super) has_encrypted_credentials: bool,
    pub(super) said: Said,
    pub(super) folder: TreePath,
    pub(super) workflow: Option<String>,
    pub(super) parts: Parts,
}

impl Export {
    /// Begins to export; the items follow, and a failure as the last of them.
    pub(super) fn begin(self) -> impl Iterator<Item = Item> + Send {
        let (sender, items) = sync_channel(4);
        std::thread::spawn(move || {
            let give = |item| sender.send(item).map_err(|_| Error::Interrupted);
            if let Err(error) = export(&self, &give) {
                // Nobody listens any more: the backup has ended.
                let _ = sender.send(Item::Failed(error.to_string()));
            }
        });
        items.into_iter()
    }
}

type Give<'g> = dyn Fn(Item) -> Result<()> + 'g;

fn export(options: &Export, give: &Give<'_>) -> Result<()> {
    let Export { said, folder, .. } = options;
    said.note("read with the command line of n8n".to_owned());
    let mut spool = Spool::new()?;
    let what = options.workflow.as_ref().map_or_else(|| "--all".to_owned(), |id| format!("--id={id}"));
    spool.fill(&options.command.and(["export:workflow".to_owned(), what]))?;
    if let Some(id) = options.workflow.as_ref().filter(|_| spool.files.is_empty()) {
        return Err(Error::NotFound { what: "workflow", name: id.clone() });
    }
    if !spool.unseen.is_empty() {
        said.note(format!(
            "of {} only the version is known that is published, and not what is in it: the editor shows another one",
            spool.unseen.iter().filter_map(|name| id_of_file(name)).collect::<Vec<_>>().join(", ")
        ));
    }
    give(node::dir(folder.clone()))?;
    if options.has_encrypted_credentials && options.workflow.is_none() && options.parts.has_credentials() {
        give(encrypted(options)?)?;
    }
    if options.parts.has_credentials() {
        let list: Vec<_> = std::mem::take(&mut spool.credentials).into_iter().collect();
        let why = "the command line shows credentials only with their values: those that nodes of workflows name are here";
        give(file(folder, said, "credentials_metadata.json", "credentials", &json!(list), Some(why))?)?;
    }
    if !options.parts.has_workflows() {
        return Ok(());
    }
    if options.workflow.is_none() {
        let tags: Vec<_> = std::mem::take(&mut spool.tags).into_values().collect();
        give(file(
            folder,
            said,
            "tags.json",
            "tags",
            &Value::Array(tags),
            Some("tags that no workflow has are not here"),
        )?)?;
    }
    let workflows = node::below(folder, "workflows")?;
    give(node::dir(workflows.clone()))?;
    let (count, mut size) = (spool.files.len() as u64, 0);
    for (name, place) in std::mem::take(&mut spool.files) {
        let bytes = spool.read(place)?;
        size += bytes.len() as u64;
        give(node::file(node::below(&workflows, &name)?, bytes, place.time))?;
    }
    said.part(SourcePart {
        file: workflows.to_string(),
        kind: "workflows".to_owned(),
        count: Some(count),
        size: Some(size),
        error: None,
    });
    Ok(())
}

fn file(
    folder: &TreePath,
    said: &Said,
    name: &str,
    kind: &str,
    value: &Value,
    error: Option<&str>,
) -> Result<Item> {
    let path = node::below(folder, name)?;
    let mut value = value.clone();
    value.sort_all_objects();
    let bytes = to_bytes(&value);
    said.part(SourcePart {
        file: path.to_string(),
        kind: kind.to_owned(),
        count: value.as_array().map(|list| list.len() as u64),
        size: Some(bytes.len() as u64),
        error: error.map(str::to_owned),
    });
    Ok(node::file(path, bytes, Time::default()))
}

/// The credentials with their values as they stand in the database.
fn encrypted(options: &Export) -> Result<Item> {
    let text = options.command.and(["export:credentials", "--all"]).output(CREDENTIALS_BYTES_MAX)?;
    let mut list = match first_list(&text) {
        Some(bytes) => serde_json::Deserializer::from_slice(bytes)
            .into_iter::<Vec<Value>>()
            .next()
            .and_then(std::result::Result::ok)
            .ok_or_else(|| damaged(options, "no list of credentials"))?,
        None => Vec::new(),
    };
    // Whoever asks for the values in clear must not find them in a backup by mistake.
    if list.iter().any(|c| !c.get("data").is_some_and(Value::is_string)) {
        return Err(damaged(options, "credentials that are not encrypted"));
    }
    list.sort_by(|a, b| text_of(a, "id").cmp(&text_of(b, "id")));
    file(&options.folder, &options.said, "credentials_encrypted.json", "config", &Value::Array(list), None)
}

fn damaged(options: &Export, why: &str) -> Error {
    Error::Damaged { what: format!("the output of {}", options.command.shown()), why: why.to_owned() }
}

/// What begins with the first line that begins a list.
fn first_list(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        if rest.first() == Some(&b'[') {
            return Some(rest);
        }
        let end = rest.iter().position(|b| *b == b'\n')?;
        rest = rest.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests;
