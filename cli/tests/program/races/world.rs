//! One repository and the hosts that use it.
//!
//! A host is told from others by a random number in its state folder, as machines are that were copied with everything that names
//! them; so each home is a host of its own: it sees no locks of the others and must not judge their sessions.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::Value;

use super::content::Version;
use crate::support::{Home, Ran, finish};

/// Hosts that share a repository.
pub(crate) struct World {
    hosts: Vec<Home>,
}

/// A listed snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) version: Version,
    pub(crate) path: String,
}

impl World {
    /// So many hosts, and an empty repository.
    pub(crate) fn new(hosts: usize) -> Self {
        let world = Self { hosts: (0..hosts).map(|_| Home::new()).collect() };
        world.host(0).run(["-r".into(), world.repository().into_os_string(), "init".into()]).code(0);
        world
    }

    pub(crate) fn host(&self, host: usize) -> &Home {
        self.hosts.get(host).unwrap()
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.host(0).path("shared")
    }

    fn key(&self) -> PathBuf {
        let keys = std::fs::read_dir(self.host(0).path(".config/chronos/keys")).unwrap();
        keys.map(|e| e.unwrap().path()).next().unwrap()
    }

    /// The words of a command on the shared repository.
    pub(crate) fn words(&self, words: &[&str]) -> Vec<OsString> {
        let (repository, key) = (self.repository(), self.key());
        let place = [OsString::from("-r"), repository.into(), "--key-file".into(), key.into()];
        place.into_iter().chain(words.iter().map(OsString::from)).collect()
    }

    pub(crate) fn command(&self, host: usize, words: &[&str]) -> Command {
        self.host(host).command(self.words(words))
    }

    pub(crate) fn spawn(&self, host: usize, words: &[&str]) -> Child {
        self.command(host, words).spawn().unwrap()
    }

    pub(crate) fn run(&self, host: usize, words: &[&str]) -> Ran {
        finish(self.spawn(host, words))
    }

    /// Where the tree of a client lies.
    pub(crate) fn source(&self, host: usize, client: u32) -> PathBuf {
        self.host(host).path(&format!("source{client}"))
    }

    /// Backs a version up, once its tree is laid.
    pub(crate) fn back_up(&self, host: usize, version: Version) -> Ran {
        version.lay(&self.source(host, version.client));
        self.run(host, &Self::backup_words(version).iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The words that back a version up.
    pub(crate) fn backup_words(version: Version) -> Vec<String> {
        let (source, target) = (format!("source{}", version.client), format!("c{}", version.client));
        ["backup", &source, "--target", &target, "--name", &version.name(), "--json"]
            .map(str::to_owned)
            .to_vec()
    }

    /// The snapshots that `words` lists.
    pub(crate) fn list(&self, host: usize, words: &[&str]) -> Vec<Listed> {
        let rows = self.run(host, words).code(0).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let row = |row: &Value| Listed {
            id: text(&row["backup_id"]),
            version: Version::named(row["name"].as_str().unwrap()),
            path: text(&row["paths"][0]),
        };
        rows.as_array().unwrap().iter().map(row).collect()
    }

    pub(crate) fn snapshots(&self, host: usize) -> Vec<Listed> {
        self.list(host, &["snapshots", "--json"])
    }

    /// Restores a snapshot and compares every byte.
    #[track_caller]
    pub(crate) fn restores(&self, host: usize, snapshot: &Listed, to: &str) {
        let part = format!("{}:{}", snapshot.id, snapshot.path);
        self.run(host, &["restore", &part, "--to", to, "--no-restore-point"]).code(0);
        let out = self.host(host).path(to);
        snapshot.version.assert_is(&out);
        std::fs::remove_dir_all(out).unwrap();
    }

    /// Every listed snapshot restores and is what was backed up, and a check of all data finds nothing; tells what is listed.
    #[track_caller]
    pub(crate) fn is_sound(&self) -> Vec<Listed> {
        let listed = self.snapshots(0);
        listed.iter().for_each(|snapshot| self.restores(0, snapshot, "restored"));
        self.run(0, &["check", "--read-data"]).code(0);
        listed
    }

    /// Every host closes what its dead left, then prunes; nothing may be left to wait for.
    #[track_caller]
    pub(crate) fn settles(&self) {
        let prune = ["prune", "--max-unused", "0%", "--json"];
        // The first time a host may have to wait for dead sessions of a host that prunes after it.
        (0..self.hosts.len()).for_each(|host| drop(self.run(host, &prune).code(0)));
        for host in 0..self.hosts.len() {
            let report = self.run(host, &prune).code(0).json();
            assert_eq!(report["pending_bytes"], 0, "{report}");
        }
    }

    /// Deletes every snapshot, and prunes: nothing of any session is left.
    #[track_caller]
    pub(crate) fn gives_everything_back(&self) {
        for snapshot in self.snapshots(0) {
            self.run(0, &["release", &snapshot.id]).code(0);
            self.run(0, &["delete", &snapshot.id]).code(0);
        }
        self.settles();
        for folder in ["packs", "sess", "tmp"] {
            let left = files(&self.repository().join(folder));
            assert!(left.is_empty(), "{left:?}");
        }
    }

    /// Bytes of all packs.
    pub(crate) fn pack_bytes(&self) -> u64 {
        files(&self.repository().join("packs")).iter().map(|p| p.metadata().unwrap().len()).sum()
    }
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
