//! The journal of a restore that changes an existing target: what it is going to do, durable before it does it.
//!
//! One file `<id>.journal` in the state folder; one record per line: 16 hex digits of its BLAKE3 hash, a space, JSON.
//! A torn last line is one that was never relied on. The process that restores holds a lock on the file, so that
//! another can tell a running restore from an interrupted one. The file is removed at the very end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::restore::metadata::Attributes;

/// Version of the records.
const VERSION: u32 = 1;
/// Folder below the state folder.
const FOLDER: &str = "restores";
const ENDING: &str = "journal";

/// One step, or what is needed to take it back. Paths are relative to the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// First: the target, absolute, and the folders that were made so that it exists, outermost first.
    Begin {
        version: u32,
        #[serde(with = "hex_bytes")]
        target: Vec<u8>,
        #[serde(with = "hex_list")]
        made: Vec<Vec<u8>>,
    },
    /// Something will be built at `temp` and then put at `path`, where the inode `old` stands, if anything.
    Unit {
        #[serde(with = "hex_path")]
        path: TreePath,
        #[serde(with = "hex_path")]
        temp: TreePath,
        #[serde(with = "hex_path")]
        aside: TreePath,
        old: Option<u64>,
    },
    /// What stands at `path` will be moved to `aside`.
    Removal {
        #[serde(with = "hex_path")]
        path: TreePath,
        #[serde(with = "hex_path")]
        aside: TreePath,
        old: u64,
    },
    /// The attributes of something that stays will change. `new`: those that it is to have at the end, if any.
    Attributes {
        #[serde(with = "hex_path")]
        path: TreePath,
        inode: u64,
        old: Attributes,
        new: Option<Attributes>,
    },
    /// Everything is built; the inodes of the units in their order (`None`: that one is left out).
    Built { inodes: Vec<Option<u64>> },
    /// Everything is in place and durable: from here on it is finished, not undone.
    Committed,
}

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Where it lies; `None`: in memory only.
    file: Option<(PathBuf, File)>,
    records: Vec<Record>,
}

impl Journal {
    /// Begins a journal below the state folder.
    pub(crate) fn create(state: &Path, id: &str, target: &Path, made: &[PathBuf]) -> Result<Self> {
        let folder = state.join(FOLDER);
        let error = |e| Error::file(&folder, e);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(error)?;
        let path = folder.join(format!("{id}.{ENDING}"));
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| Error::file(&path, e))?;
        lock(&file).map_err(|e| Error::file(&path, e))?;
        let mut journal = Self { file: Some((path, file)), records: Vec::new() };
        journal.append(&[begin(target, made)])?;
        sync_folder(&folder)?;
        Ok(journal)
    }

    /// A journal that ends with the process: enough to undo an error, not a crash.
    pub(crate) fn in_memory(target: &Path, made: &[PathBuf]) -> Self {
        Self { file: None, records: vec![begin(target, made)] }
    }

    /// Adds records and makes them durable.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<()> {
        let mut text = Vec::new();
        for record in records {
            let json = serde_json::to_vec(record).map_err(|e| Error::Invalid(e.to_string()))?;
            text.extend(line(&json));
        }
        if let Some((path, file)) = &mut self.file {
            let written = file.write_all(&text).and_then(|()| file.sync_data());
            written.map_err(|e| Error::file(path, e))?;
        }
        self.records.extend_from_slice(records);
        Ok(())
    }

    /// All records until now.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Whether a later version of the program wrote it.
    pub(crate) fn is_newer(&self) -> bool {
        self.records.iter().any(|r| matches!(r, Record::Begin { version, .. } if *version > VERSION))
    }

    /// Nothing is left to undo or to finish.
    pub(crate) fn remove(self) -> Result<()> {
        let Some((path, _)) = &self.file else { return Ok(()) };
        fs::remove_file(path).map_err(|e| Error::file(path, e))?;
        path.parent().map_or(Ok(()), sync_folder)
    }

    /// A journal that an earlier process left; `None` while that process lives.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let error = |e| Error::file(path, e);
        let file = OpenOptions::new().read(true).append(true).open(path).map_err(error)?;
        match lock(&file) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            other => other.map_err(error)?,
        }
        let records = decode(BufReader::new(&file)).map_err(error)?;
        Ok(Some(Self { file: Some((path.to_owned(), file)), records }))
    }
}

fn begin(target: &Path, made: &[PathBuf]) -> Record {
    let target = target.as_os_str().as_bytes().to_vec();
    let made = made.iter().map(|m| m.as_os_str().as_bytes().to_vec()).collect();
    Record::Begin { version: VERSION, target, made }
}

/// The journals in a state folder.
pub(crate) fn journals(state: &Path) -> Result<Vec<PathBuf>> {
    let folder = state.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::file(&folder, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::file(&folder, e))?.path();
        if path.extension().is_some_and(|e| e == ENDING) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The records until the first that is torn.
pub(crate) fn decode(lines: impl BufRead) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for line in lines.split(b'\n') {
        let line = line?;
        let Some((sum, json)) = line.split_at_checked(16) else { break };
        let Some(json) = json.strip_prefix(b" ") else { break };
        if checksum(json).as_bytes() != sum {
            break;
        }
        let Ok(record) = serde_json::from_slice(json) else { break };
        records.push(record);
    }
    Ok(records)
}

fn lock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::file(folder, e))
}

/// The line of a record.
pub(crate) fn line(json: &[u8]) -> Vec<u8> {
    [checksum(json).as_bytes(), b" ", json, b"\n"].concat()
}

fn checksum(json: &[u8]) -> String {
    let mut hex = blake3::hash(json).to_hex().to_string();
    hex.truncate(16);
    hex
}

mod hex_bytes {
    //! Bytes as hex digits.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod hex_list {
    //! Several strings of bytes as hex digits.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(list: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(hex::encode))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let list = Vec::<String>::deserialize(from)?;
        list.iter().map(|text| hex::decode(text).map_err(D::Error::custom)).collect()
    }
}

mod hex_path {
    //! Paths as hex digits, checked when they are read.
    use crate::path::TreePath;
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(path: &TreePath, to: S) -> Result<S::Ok, S::Error> {
        super::hex_bytes::serialize(path.as_bytes(), to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<TreePath, D::Error> {
        TreePath::new(super::hex_bytes::deserialize(from)?).map_err(D::Error::custom)
    }
}
