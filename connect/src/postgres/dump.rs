//! Files that may be dumps of PostgreSQL: what they are, as their ends tell it. Nothing is run.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result, shown};
use crate::postgres::sql::leading_name;

/// How an archive begins.
const ARCHIVE: &[u8] = b"PGDMP";
/// How an archive of form `tar` begins, and where it says that it is one.
const TAR: (&[u8], usize, &[u8]) = (b"toc.dat\0", 257, b"ustar");
/// How a script begins, behind a line of its own, and what stands near its end.
const SCRIPT: &str = "-- PostgreSQL database dump";
const SCRIPT_END: &str = "-- PostgreSQL database dump complete";
/// How one of `pg_dumpall` begins.
const OF_CLUSTER: &str = "-- PostgreSQL database cluster dump";
/// What says of which version the server was.
const VERSION: &str = "-- Dumped from database version ";
/// How packed files begin, and what they are packed with.
const PACKED: [(&[u8], &str); 4] =
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x04\x22\x4d\x18", "lz4")];
/// How one begins that can be unpacked here.
const GZIP: &[u8] = b"\x1f\x8b";
/// Bytes that are looked at of both ends.
const END: usize = 4 << 10;

/// A file, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpFile {
    path: PathBuf,
    is_packed: bool,
    /// What it is.
    pub form: Form,
    /// How long it is, unpacked; of what is no dump, as it lies there.
    pub bytes: u64,
}

/// What a file may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// An archive of `pg_dump`.
    Archive,
    /// A script of it.
    Script(Script),
    /// A script of `pg_dumpall`.
    Cluster,
    /// Packed in a way that is not unpacked here.
    Packed(&'static str),
    /// No dump of PostgreSQL.
    Other,
}

/// What a script says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// It comes to its end.
    pub is_whole: bool,
    /// The database that it makes and connects to itself.
    pub connects: Option<String>,
    /// It first drops what is not there in an empty database.
    pub drops: bool,
    /// The server that it was made of, as it tells it.
    pub server: String,
}

impl DumpFile {
    /// Looks at a file.
    pub fn look(path: &Path) -> Result<Self> {
        let failed = |e| failed(path, false, e);
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let start = beginning(&mut file).map_err(failed)?;
        let is_packed = start.starts_with(GZIP);
        let mut found = Self { path: path.to_owned(), is_packed, form: Form::Other, bytes: length };
        if !is_packed {
            found.form = form(&start);
            if let Form::Script(script) = &mut found.form {
                file.seek(SeekFrom::Start(length.saturating_sub(END as u64))).map_err(failed)?;
                script.is_whole = is_end(&beginning(&mut file).map_err(failed)?);
            }
            return Ok(found);
        }
        file.rewind().map_err(failed)?;
        let mut unpacked = MultiGzDecoder::new(file);
        // What is packed and cannot be unpacked may be no dump; only one that is may be damaged.
        let Ok(start) = beginning(&mut unpacked) else { return Ok(found) };
        found.form = form(&start);
        if found.form != Form::Other {
            let mut last = Last { kept: start.clone(), bytes: start.len() as u64 };
            io::copy(&mut unpacked, &mut last).map_err(|e| self::failed(path, true, e))?;
            found.bytes = last.bytes;
            if let Form::Script(script) = &mut found.form {
                script.is_whole = is_end(&last.kept);
            }
        }
        Ok(found)
    }

    /// Writes what is in it, unpacked.
    pub fn copy(&self, into: &mut dyn Write) -> Result<()> {
        let file = File::open(&self.path).map_err(|e| failed(&self.path, false, e))?;
        let mut from: Box<dyn Read> =
            if self.is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        io::copy(&mut from, into).map(drop).map_err(|e| failed(&self.path, self.is_packed, e))
    }
}

/// What cannot be unpacked is damaged; all else is the system's.
fn failed(path: &Path, is_packed: bool, error: io::Error) -> Error {
    let is_content = [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput];
    if is_packed && is_content.contains(&error.kind()) {
        let why = format!("it cannot be unpacked to its end: {error}");
        return Error::Damaged { what: shown(path.file_name().unwrap_or_default()), why };
    }
    Error::file(path, error)
}

fn beginning(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    from.take(END as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn is_end(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains(SCRIPT_END)
}

fn form(start: &[u8]) -> Form {
    let (name, at, word) = TAR;
    let is_tar = start.starts_with(name) && start.get(at..).is_some_and(|rest| rest.starts_with(word));
    if start.starts_with(ARCHIVE) || is_tar {
        return Form::Archive;
    }
    if let Some((_, name)) = PACKED.iter().find(|(beginning, _)| start.starts_with(beginning)) {
        return Form::Packed(name);
    }
    let text = String::from_utf8_lossy(start);
    let Some(first) = text.lines().find(|line| [SCRIPT, OF_CLUSTER].contains(line)) else {
        return Form::Other;
    };
    if first == OF_CLUSTER {
        return Form::Cluster;
    }
    let drops = |line: &str| {
        let is_drop =
            line.starts_with("DROP ") || line.starts_with("ALTER ") && line.contains(" DROP CONSTRAINT ");
        is_drop && !line.contains(" IF EXISTS ")
    };
    let connects = text.lines().find_map(connected);
    Form::Script(Script {
        is_whole: false,
        drops: connects.is_none() && text.lines().any(drops),
        connects,
        server: text.lines().find_map(|l| l.strip_prefix(VERSION)).unwrap_or_default().trim().to_owned(),
    })
}

/// The database that a line connects to: `\connect shop`, or `\connect -reuse-previous=on "dbname='a b'"`.
fn connected(line: &str) -> Option<String> {
    let rest = line.strip_prefix("\\connect ")?;
    let (name, _) = leading_name(rest.strip_prefix("-reuse-previous=on ").unwrap_or(rest))?;
    let quoted = name.strip_prefix("dbname='").and_then(|name| name.strip_suffix('\''));
    Some(quoted.map_or_else(|| name.clone(), |name| name.replace("\\'", "'").replace("\\\\", "\\")))
}

/// Keeps the last bytes of what is written, and counts.
struct Last {
    kept: Vec<u8>,
    bytes: u64,
}

impl Write for Last {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        self.kept.extend_from_slice(bytes);
        let extra = self.kept.len().saturating_sub(END);
        self.kept.drain(..extra);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_file_is_known_by_its_ends_also_packed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump");
        let look = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            DumpFile::look(&path)
        };
        let head = "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.18 (Debian)\n";
        let rows = "x\n".repeat(10_000);
        let whole = format!("{head}{rows}-- PostgreSQL database dump complete\n--\n\n");
        let script = Script { is_whole: true, server: "15.18 (Debian)".to_owned(), ..Script::default() };
        let found = look(whole.as_bytes()).unwrap();
        assert_eq!((&found.form, found.bytes), (&Form::Script(script.clone()), whole.len() as u64));
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(whole.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let found = look(&packed).unwrap();
        assert_eq!((&found.form, found.bytes), (&Form::Script(script), whole.len() as u64));
        let mut unpacked = Vec::new();
        found.copy(&mut unpacked).unwrap();
        assert_eq!(unpacked, whole.as_bytes());
        let cut = look(packed.get(..packed.len() - 20).unwrap()).unwrap_err();
        assert!(matches!(&cut, Error::Damaged { .. }), "{cut}");
        let Form::Script(cut) = look(format!("{head}{rows}").as_bytes()).unwrap().form else {
            panic!("a script")
        };
        assert!(!cut.is_whole);
        for (bytes, wanted) in [
            (&b"PGDMP\x01"[..], Form::Archive),
            (b"--\n-- PostgreSQL database cluster dump\n--\n-- PostgreSQL database dump\n", Form::Cluster),
            (b"BZh91", Form::Packed("bzip2")),
            (b"[1]", Form::Other),
            (b"\x1f\x8bnothing", Form::Other),
        ] {
            assert_eq!(look(bytes).unwrap().form, wanted);
        }
    }

    #[test]
    fn a_script_that_makes_its_database_says_which() {
        for (line, name) in [
            ("\\connect shop", "shop"),
            ("\\connect \"a\"\"b\"", "a\"b"),
            ("\\connect -reuse-previous=on \"dbname='a b'\"", "a b"),
        ] {
            let Form::Script(found) = form(format!("{SCRIPT}\nDROP DATABASE x;\n{line}\n").as_bytes()) else {
                panic!("a script")
            };
            assert_eq!((found.connects.as_deref(), found.drops), (Some(name), false));
        }
        let Form::Script(found) = form(format!("{SCRIPT}\nDROP TABLE x;\n").as_bytes()) else {
            panic!("a script")
        };
        assert!(found.drops);
    }
}
