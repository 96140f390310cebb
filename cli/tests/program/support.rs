//! The program in a home folder of its own.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub(crate) use chronos_tests::Mounted;
use serde_json::Value;
use tempfile::TempDir;

/// A home folder.
pub(crate) struct Home {
    dir: TempDir,
}

/// What one run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Fails unless the run ended with this code.
    #[track_caller]
    pub(crate) fn code(self, wanted: i32) -> Self {
        assert_eq!(self.code, wanted, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The one document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("not one document: {e}\n{}\n{}", self.stdout, self.stderr))
    }

    /// Fails unless standard error holds these words.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{words:?} is not in: {}", self.stderr);
        self
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A home in memory where that is to be had: most of what a short run takes is waiting for the disk.
    pub(crate) fn in_memory() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { dir: dir.unwrap() }
    }

    /// A home with the folder `data` and one snapshot of it in the default repository.
    pub(crate) fn with_snapshot() -> Self {
        let home = Self::new();
        home.file("data/a.txt", b"first\n");
        home.file("data/sub/b.json", b"{\"v\": 1}");
        home.run(["backup", "data"]).code(0);
        home
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.path(".local/share/chronos/repository")
    }

    /// The packs of the default repository.
    pub(crate) fn packs(&self) -> Vec<PathBuf> {
        let sessions = std::fs::read_dir(self.repository().join("packs")).unwrap();
        sessions
            .flat_map(|s| std::fs::read_dir(s.unwrap().path()).unwrap())
            .map(|e| e.unwrap().path())
            .collect()
    }

    /// The path of a file of this home inside a snapshot.
    pub(crate) fn inside(&self, below: &str) -> String {
        self.path(below).display().to_string().trim_start_matches('/').to_owned()
    }

    pub(crate) fn file(&self, below: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command_under(&[], args)
    }

    /// The program started by another one, such as `strace` with its options.
    pub(crate) fn command_under<S: AsRef<OsStr>>(
        &self,
        wrapper: &[&str],
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut words = wrapper.iter().copied().chain([env!("CARGO_BIN_EXE_chronos")]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TZ", "UTC")
            .current_dir(self.dir.path())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        finish(self.command(args).spawn().unwrap())
    }

    /// The `backup_id`s there are, newest first.
    pub(crate) fn snapshots(&self) -> Vec<String> {
        let rows = self.run(["snapshots", "--json"]).code(0).json();
        rows.as_array().unwrap().iter().map(|r| r["backup_id"].as_str().unwrap().to_owned()).collect()
    }

    /// What a prune should have given back: packs that do not count, announcements of sessions. `None` if all is well.
    pub(crate) fn not_given_back(&self) -> Option<String> {
        let counted = self.run(["stats", "--json"]).code(0).json()["stored_bytes"].as_u64().unwrap();
        let stored: u64 = self.packs().iter().map(|p| std::fs::metadata(p).unwrap().len()).sum();
        if stored != counted {
            return Some(format!("{stored} bytes of packs, of which {counted} count"));
        }
        let announced = std::fs::read_dir(self.repository().join("sess")).map_or(0, Iterator::count);
        (announced > 0).then(|| format!("{announced} announcements"))
    }

    /// Every snapshot is verified and the repository checked in full.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        self.run(["check", "--read-data"]).code(0);
    }
}

/// Whether the long forms of tests are wanted.
pub(crate) fn is_long() -> bool {
    std::env::var_os("CHRONOS_LONG").is_some()
}

/// The part of a long form that is wanted: of the things that it tries each `of`-th one, from the `nth` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) nth: usize,
    pub(crate) of: usize,
}

/// `CHRONOS_LONG=1` is everything, `CHRONOS_LONG=5` the first fifth, `CHRONOS_LONG=3/5` the third one.
pub(crate) fn long_share() -> Share {
    let text = std::env::var("CHRONOS_LONG").unwrap_or_default();
    let (nth, of) = text.split_once('/').unwrap_or(("1", &text));
    let share = Share { nth: nth.parse().unwrap_or(1) - 1, of: of.parse().unwrap_or(1) };
    assert!(share.nth < share.of, "CHRONOS_LONG={text} is no share");
    share
}

/// A line about what a test tried, for its long form (`--nocapture` shows it).
pub(crate) fn tell(line: std::fmt::Arguments<'_>) {
    let mut to = std::io::stderr();
    writeln!(to, "{line}").unwrap();
}

pub(crate) fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Bytes that neither compress nor repeat, the same for the same seed.
pub(crate) fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}
