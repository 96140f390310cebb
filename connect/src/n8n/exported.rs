//! An n8n as a source of a snapshot, by its own command line: no key is needed, and archived workflows and all fields come as
//! they are stored. What is published but differs from the editor is not in it.
//!
//! `n8n export:workflow` writes one list in no order; it is split into a temporary file, then given in the order of the paths.
//! Of the credentials the encrypted export is a file of its own, if that is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::mpsc::sync_channel;

use chronos_snapshot::{Item, Source, SourceOutcome, SourcePart, Time, TreePath};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::n8n::credentials::{Credential, named};
use crate::n8n::node;
use crate::n8n::options::Parts;
use crate::n8n::said::Said;
use crate::n8n::workflow::{canonical, changed_at, file_name, text_of, to_bytes};
use crate::process::Process;

/// Lines that may stand before the list: warnings of Node and of n8n.
const LINES_BEFORE_MAX: usize = 1000;
/// Most that an export of credentials may be.
const CREDENTIALS_BYTES_MAX: usize = 256 << 20;
/// How the command line says that there is nothing to export.
const NOTHING: &str = "found with specified filters";

/// What an export takes.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Name of the source, and its folder in the snapshot.
    pub name: String,
    /// `n8n`, behind a prefix if it has one.
    pub command: Process,
    /// What is taken.
    pub parts: Parts,
    /// Only the workflow of this id.
    pub workflow: Option<String>,
    /// Also `credentials_encrypted.json`: with the values, encrypted with the key of the instance.
    pub has_encrypted_credentials: bool,
}

/// The workflows of one n8n, as its command line exports them.
#[derive(Debug)]
pub struct ExportSource {
    options: ExportOptions,
    folder: TreePath,
    said: Said,
}

impl ExportSource {
    /// Prepares a source; nothing is run.
    pub fn new(options: ExportOptions) -> Result<Self> {
        let folder = node::folder(&options.name)?;
        Ok(Self { options, folder, said: Said::default() })
    }
}

impl Source for ExportSource {
    fn name(&self) -> String {
        self.options.name.clone()
    }

    fn kind(&self) -> &'static str {
        "n8n"
    }

    fn component(&self) -> String {
        self.options.parts.component().to_owned()
    }

    fn paths(&self) -> Vec<String> {
        vec![node::label(&self.folder, self.options.workflow.as_deref(), self.options.parts)]
    }

    fn open(&mut self) -> chronos_snapshot::Result<Box<dyn Iterator<Item = Item> + Send>> {
        self.said.clear();
        let (options, folder, said) = (self.options.clone(), self.folder.clone(), self.said.clone());
        let (sender, items) = sync_channel(4);
        std::thread::spawn(move || {
            let give = |item| sender.send(item).map_err(|_| Error::Interrupted);
            if let Err(error) = export(&options, &folder, &said, &give) {
                // Nobody listens any more: the backup has ended.
                let _ = sender.send(Item::Failed(error.to_string()));
            }
        });
        Ok(Box::new(items.into_iter()))
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn outcome(&self) -> SourceOutcome {
        self.said.outcome()
    }
}

type Give<'g> = dyn Fn(Item) -> Result<()> + 'g;

fn export(options: &ExportOptions, folder: &TreePath, said: &Said, give: &Give<'_>) -> Result<()> {
    said.note("read with the command line of n8n".to_owned());
    let mut spool = Spool::new()?;
    let what = options.workflow.as_ref().map_or_else(|| "--all".to_owned(), |id| format!("--id={id}"));
    spool.fill(&options.command.and(["export:workflow".to_owned(), what]))?;
    if let Some(id) = options.workflow.as_ref().filter(|_| spool.files.is_empty()) {
        return Err(Error::NotFound { what: "workflow", name: id.clone() });
    }
    give(node::dir(folder.clone()))?;
    if options.has_encrypted_credentials {
        give(encrypted(options, folder, said)?)?;
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
fn encrypted(options: &ExportOptions, folder: &TreePath, said: &Said) -> Result<Item> {
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
    file(folder, said, "credentials_encrypted.json", "config", &Value::Array(list), None)
}

fn damaged(options: &ExportOptions, why: &str) -> Error {
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

/// Workflows in a temporary file, each in its stored form.
struct Spool {
    file: File,
    end: u64,
    files: BTreeMap<String, Place>,
    tags: BTreeMap<String, Value>,
    credentials: BTreeSet<Credential>,
}

#[derive(Clone, Copy)]
struct Place {
    start: u64,
    len: u64,
    time: Time,
}

impl Spool {
    fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|e| Error::file("temporary file", e))?;
        Ok(Self { file, end: 0, files: BTreeMap::new(), tags: BTreeMap::new(), credentials: BTreeSet::new() })
    }

    /// Runs an export and takes its workflows.
    fn fill(&mut self, command: &Process) -> Result<()> {
        let mut output = BufReader::new(Patient(command.stream()?));
        let failed = |why: String| Error::Command { command: command.shown(), why };
        let mut before = String::new();
        for _ in 0..LINES_BEFORE_MAX {
            let begin = output.fill_buf().map_err(|e| failed(e.to_string()))?;
            if begin.first() == Some(&b'[') {
                let mut list = serde_json::Deserializer::from_reader(&mut output);
                list.deserialize_seq(Rows(self)).map_err(|e| failed(e.to_string()))?;
                // What follows is of no interest, but that the command succeeded is.
                std::io::copy(&mut output, &mut std::io::sink()).map_err(|e| failed(e.to_string()))?;
                return Ok(());
            }
            let mut line = Vec::new();
            if output.read_until(b'\n', &mut line).map_err(|e| said_or(&before, &e, &failed))? == 0 {
                break;
            }
            before = String::from_utf8_lossy(&line).trim().to_owned();
            if before.contains(NOTHING) {
                return Ok(());
            }
        }
        Err(failed(format!("it gave no list of workflows: {before}")))
    }

    fn add(&mut self, workflow: Value) -> std::result::Result<(), String> {
        let id =
            text_of(&workflow, "id").map(std::borrow::Cow::into_owned).ok_or("a workflow without an id")?;
        let name = file_name(&id).ok_or_else(|| format!("the id {id:?} is too long for a file name"))?;
        for node in workflow.get("nodes").and_then(Value::as_array).into_iter().flatten() {
            named(node.get("credentials").unwrap_or(&Value::Null), &mut self.credentials);
        }
        for tag in workflow.get("tags").and_then(Value::as_array).into_iter().flatten() {
            self.tags.insert(text_of(tag, "id").unwrap_or_default().into_owned(), tag.clone());
        }
        let time = changed_at(&workflow);
        let bytes = to_bytes(&canonical(workflow));
        self.file.write_all(&bytes).map_err(|e| e.to_string())?;
        self.files.insert(name, Place { start: self.end, len: bytes.len() as u64, time });
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn read(&mut self, place: Place) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(place.start));
        let read = read.and_then(|_| (&self.file).take(place.len).read_to_end(&mut bytes));
        read.map_err(|e| Error::file("temporary file", e))?;
        Ok(bytes)
    }
}

/// A command that fails after it said something says why there.
fn said_or(before: &str, error: &std::io::Error, failed: &dyn Fn(String) -> Error) -> Error {
    failed(if before.is_empty() { error.to_string() } else { format!("{error} ({before})") })
}

/// Takes the rows of a list one by one.
struct Rows<'s>(&'s mut Spool);

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of workflows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> std::result::Result<(), A::Error> {
        while let Some(row) = rows.next_element_seed(Row)? {
            self.0.add(row).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

struct Row;

impl<'de> DeserializeSeed<'de> for Row {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<Value, D::Error> {
        Value::deserialize(from)
    }
}

/// A stream that is waited for.
struct Patient<R>(R);

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use chronos_snapshot::Origin;

    use super::*;

    fn items(
        output: &str,
        change: impl FnOnce(&mut ExportOptions),
    ) -> (Vec<(String, usize)>, Option<String>) {
        let command = Process::new(["sh", "-c", &format!("cat <<'E'\n{output}\nE\n")]);
        let mut options = ExportOptions {
            name: "n8n".to_owned(),
            command,
            parts: Parts::All,
            workflow: None,
            has_encrypted_credentials: false,
        };
        change(&mut options);
        let (mut found, mut failed) = (Vec::new(), None);
        for item in ExportSource::new(options).unwrap().open().unwrap() {
            match item {
                Item::Entry(entry) => {
                    let Origin::Bytes(bytes) = entry.origin else { continue };
                    found.push((entry.path.to_string(), bytes.len()));
                }
                Item::Failed(why) => failed = Some(why),
                Item::Problem(problem) => panic!("{problem:?}"),
            }
        }
        (found, failed)
    }

    const TWO: &str = r#"(node:7) DeprecationWarning: something
[{"id":"b","name":"B","nodes":[{"credentials":{"t":{"id":"1","name":"n"}}}]},{"id":"a","tags":[{"id":"9","name":"x"}]}]
Successfully exported 2 workflows."#;

    #[test]
    fn workflows_come_in_order_whatever_stands_around_them() {
        let (found, failed) = items(TWO, |_| {});
        assert_eq!(failed, None);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        let all = ["credentials_metadata.json", "tags.json", "workflows/a.json", "workflows/b.json"];
        assert_eq!(names, all.map(|name| format!("n8n/{name}")));
    }

    #[test]
    fn nothing_to_export_is_no_failure_unless_it_was_asked_for() {
        let none = "No workflows found with specified filters";
        assert_eq!(
            items(none, |o| o.parts = Parts::Workflows),
            (vec![("n8n/tags.json".to_owned(), 3)], None)
        );
        let (_, failed) = items(none, |o| o.workflow = Some("x".to_owned()));
        assert!(failed.unwrap().contains("\"x\" not found"));
    }

    #[test]
    fn a_command_that_fails_or_says_something_else_fails_the_source() {
        for output in ["", "oops", "[{\"id\":\"a\"}, {]", "[{\"name\":\"no id\"}]"] {
            let (found, failed) = items(output, |_| {});
            assert!(found.is_empty() && failed.is_some(), "{output}");
        }
        let (found, failed) =
            items("", |o| o.command = Process::new(["sh", "-c", "echo '[]'; echo bad >&2; exit 1"]));
        assert!(found.is_empty() && failed.as_ref().unwrap().contains("bad"), "{failed:?}");
    }

    #[test]
    fn credentials_in_clear_are_refused() {
        let of = |text: &str| items(text, |o| o.has_encrypted_credentials = true);
        assert!(of(r#"[{"id":"1","data":{"value":"s"}}]"#).1.unwrap().contains("not encrypted"));
    }
}
