//! What a command exports in no order, kept in a temporary file until it can be given in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

use chronos_snapshot::Time;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::n8n::credentials::{Credential, named};
use crate::n8n::workflow::{canonical, changed_at, file_name, text_of, to_bytes};
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
        Ok(Self { file, end: 0, files: BTreeMap::new(), tags: BTreeMap::new(), credentials: BTreeSet::new() })
    }

    /// Runs an export and takes its workflows.
    pub(super) fn fill(&mut self, command: &Process) -> Result<()> {
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
