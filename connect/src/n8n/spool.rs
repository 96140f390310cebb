//! What a command exports in no order, kept in a temporary file until it can be given in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

use chronos_snapshot::Time;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::n8n::credentials::{Credential, named};
use crate::n8n::workflow::{canonical, changed_at, file_name, published_unseen, text_of, to_bytes};
use crate::process::Process;

/// Lines that may stand before the list: warnings of Node and of n8n.
const LINES_BEFORE_MAX: usize = 1000;
/// How the command line says that there is nothing to export.
const NOTHING: &str = "found with specified filters";

/// Workflows in a temporary file, each in its stored form.
pub(super) struct Spool {
    file: File,
    end: u64,
    pub(super) files: BTreeMap<String, Place>,
    pub(super) tags: BTreeMap<String, Value>,
    pub(super) credentials: BTreeSet<Credential>,
    /// Files of those of which something else is published than what the editor shows, and only its version is known.
    pub(super) unseen: BTreeSet<String>,
}

/// Where one of them is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    start: u64,
    len: u64,
    pub(super) time: Time,
}

impl Spool {
    pub(super) fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|e| Error::file("temporary file", e))?;
        Ok(Self {
            file,
            end: 0,
            files: BTreeMap::new(),
            tags: BTreeMap::new(),
            credentials: BTreeSet::new(),
            unseen: BTreeSet::new(),
        })
    }

    /// Runs an export and takes its workflows, and what is published of them where the editor shows something else: later 2.x exports
    /// that too, and what is older gives what the editor shows once more.
    pub(super) fn fill(&mut self, command: &Process) -> Result<()> {
        self.take(command)?;
        if self.unseen.is_empty() { Ok(()) } else { self.take(&command.and(["--published"])) }
    }

    fn take(&mut self, command: &Process) -> Result<()> {
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
            String::from_utf8_lossy(&line).trim().clone_into(&mut before);
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
        if self.unseen.contains(&name) {
            return self.add_published(&name, &workflow);
        }
        if self.files.contains_key(&name) {
            return Ok(());
        }
        if published_unseen(&workflow).is_some() {
            self.unseen.insert(name.clone());
        }
        for node in workflow.get("nodes").and_then(Value::as_array).into_iter().flatten() {
            named(node.get("credentials").unwrap_or(&Value::Null), &mut self.credentials);
        }
        for tag in workflow.get("tags").and_then(Value::as_array).into_iter().flatten() {
            self.tags.insert(text_of(tag, "id").unwrap_or_default().into_owned(), tag.clone());
        }
        let time = changed_at(&workflow);
        self.put(name, &to_bytes(&canonical(workflow)), time)
    }

    /// Adds to a workflow what is published of it, in the words of the API.
    fn add_published(&mut self, name: &str, published: &Value) -> std::result::Result<(), String> {
        let Some(place) = self.files.get(name).copied() else { return Ok(()) };
        let bytes = self.read(place).map_err(|e| e.to_string())?;
        let mut workflow: Value = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
        if published.get("versionId") != workflow.get("activeVersionId") {
            return Ok(());
        }
        let fields = ["versionId", "nodes", "connections", "nodeGroups"];
        let version: Map<String, Value> = fields
            .into_iter()
            .filter_map(|field| Some((field.to_owned(), published.get(field)?.clone())))
            .collect();
        if let Some(fields) = workflow.as_object_mut() {
            fields.insert("activeVersion".to_owned(), Value::Object(version));
        }
        self.unseen.remove(name);
        self.put(name.to_owned(), &to_bytes(&canonical(workflow)), place.time)
    }

    fn put(&mut self, name: String, bytes: &[u8], time: Time) -> std::result::Result<(), String> {
        // A read may have been before.
        self.file.seek(SeekFrom::Start(self.end)).map_err(|e| e.to_string())?;
        self.file.write_all(bytes).map_err(|e| e.to_string())?;
        self.files.insert(name, Place { start: self.end, len: bytes.len() as u64, time });
        self.end += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn read(&mut self, place: Place) -> Result<Vec<u8>> {
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
