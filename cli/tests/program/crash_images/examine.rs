//! What must be true on the disk that a loss of power left.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use super::disk::Image;
use super::recording::{OWN, Recording, Told};
use crate::support::{Home, Ran, finish, noise};

/// A snapshot of the recording.
#[derive(Debug)]
struct Taken {
    id: String,
    version: u8,
    told: usize,
    forgotten: Option<Told>,
}

/// What was reported when.
#[derive(Debug, Default)]
pub(super) struct Story {
    taken: Vec<Taken>,
}

/// The files of a version: some stay, some change, some are new.
fn files(version: u8) -> [(&'static str, Vec<u8>); 3] {
    [
        ("same", noise(0, 20_000)),
        ("other", format!("version {version}\n").into_bytes()),
        ("sub/noise", noise(10 + version, 40_000)),
    ]
}

fn lay(home: &Home, version: u8) {
    for (name, bytes) in files(version) {
        home.file(&format!("data/{name}"), &bytes);
    }
}

impl Story {
    /// Makes a snapshot and remembers when it was reported.
    pub(super) fn backup(&mut self, home: &Home, recording: &mut Recording, version: u8) {
        lay(home, version);
        let (ran, told) = recording.run(&["backup", "data", "--json"]);
        let id = ran.code(0).json()["backup_id"].as_str().unwrap().to_owned();
        self.taken.push(Taken { id, version, told: told.told, forgotten: None });
    }

    pub(super) fn forgotten(&mut self, n: usize, told: Told) {
        self.taken[n].forgotten = Some(told);
    }

    /// Moments at which something was told or asked for.
    pub(super) fn moments(&self) -> impl Iterator<Item = usize> {
        let forgotten = |t: &Taken| t.forgotten.into_iter().flat_map(|f| [f.began, f.told]);
        self.taken.iter().flat_map(move |t| forgotten(t).chain([t.told]))
    }

    /// Snapshots that were reported and that nobody had begun to forget.
    fn required(&self, now: usize) -> impl Iterator<Item = &Taken> {
        self.taken.iter().filter(move |t| t.told <= now && t.forgotten.is_none_or(|f| now < f.began))
    }
}

/// Tells images apart, but not by the cache, which may say anything.
pub(super) fn digest(image: &Image) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for (path, content) in image.iter().filter(|(path, _)| !path.starts_with(".cache")) {
        hasher.update(path.as_os_str().as_encoded_bytes());
        match content {
            Some(bytes) => hasher.update(&[1]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes),
            None => hasher.update(&[0]),
        };
    }
    *hasher.finalize().as_bytes()
}

/// The home of the recording, which takes the images up: paths and the host are the same.
pub(super) struct Stage<'h> {
    home: &'h Home,
    /// Where the data lie inside a snapshot.
    data: String,
    /// Whether the system was started anew since the recording.
    is_restarted: Cell<bool>,
}

/// Runs a program under the kernel's id of another run.
const RESTARTED: [&str; 6] = [
    "unshare",
    "-m",
    "sh",
    "-c",
    "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"",
    "boot_id",
];

impl<'h> Stage<'h> {
    pub(super) fn new(home: &'h Home) -> Self {
        home.file("boot_id", b"00000000-0000-4000-8000-000000000000\n");
        Self { home, data: home.inside("data"), is_restarted: Cell::new(false) }
    }

    /// Puts an image where the program looks; from now on it runs as after a restart of the system, or not.
    pub(super) fn lay_out(&self, image: &Image, is_restarted: bool) {
        self.is_restarted.set(is_restarted);
        for own in OWN.iter().chain(&["out"]) {
            fs::remove_dir_all(self.home.path(own)).unwrap_or_default();
        }
        for (path, content) in image {
            let path = self.home.path("").join(path);
            match content {
                None => fs::DirBuilder::new().mode(0o700).create(path).unwrap(),
                Some(bytes) => {
                    let mut file = fs::OpenOptions::new();
                    let mut file = file.write(true).create_new(true).mode(0o600).open(path).unwrap();
                    // The reserve is large and holds nothing.
                    if bytes.iter().all(|b| *b == 0) {
                        file.set_len(bytes.len() as u64).unwrap();
                    } else {
                        file.write_all(bytes).unwrap();
                    }
                }
            }
        }
    }

    /// Runs a command.
    pub(super) fn ran(&self, args: &[&str]) -> Ran {
        let wrapper = if self.is_restarted.get() { &RESTARTED[..] } else { &[] };
        finish(self.home.command_under(wrapper, args).spawn().unwrap())
    }

    /// Runs a command that must succeed.
    fn run(&self, args: &[&str]) -> Result<Ran, String> {
        let ran = self.ran(args);
        if ran.code == 0 { Ok(ran) } else { Err(format!("{args:?}: {ran:?}")) }
    }

    fn listed(&self) -> Result<Vec<String>, String> {
        let rows = self.run(&["snapshots", "--json"])?.json();
        Ok(rows.as_array().unwrap().iter().map(|r| r["backup_id"].as_str().unwrap().to_owned()).collect())
    }

    /// Fails with what is wrong.
    pub(super) fn examine(
        &self,
        image: &Image,
        story: &Story,
        now: usize,
        is_restarted: bool,
    ) -> Result<(), String> {
        self.lay_out(image, is_restarted);
        let required: Vec<_> = story.required(now).collect();
        if story.taken.iter().any(|t| t.told <= now) {
            self.run(&["check", "--read-data"])?;
            let listed = self.listed()?;
            for taken in &story.taken {
                let is_gone = taken.forgotten.is_some_and(|f| f.told <= now);
                if is_gone && listed.contains(&taken.id) {
                    return Err(format!("{} is back", taken.id));
                }
            }
        }
        for taken in &required {
            self.restores(taken)?;
        }
        // The next run, in whatever state this is.
        lay(self.home, 99);
        self.run(&["backup", "data"])?;
        self.run(&["prune"])?;
        self.run(&["check", "--read-data"])?;
        let listed = self.listed()?;
        match required.iter().find(|taken| !listed.contains(&taken.id)) {
            Some(lost) => Err(format!("{} is gone after a prune", lost.id)),
            None => self.home.not_given_back().map_or(Ok(()), Err),
        }
    }

    fn restores(&self, taken: &Taken) -> Result<(), String> {
        fs::remove_dir_all(self.home.path("out")).unwrap_or_default();
        self.run(&["restore", &format!("{}:{}", taken.id, self.data), "--to", "out"])?;
        for (name, bytes) in files(taken.version) {
            if fs::read(self.home.path("out").join(name)).ok() != Some(bytes) {
                return Err(format!("{name} of {} is another", taken.id));
            }
        }
        Ok(())
    }
}
