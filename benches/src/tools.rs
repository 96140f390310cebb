//! How each program is called: with zstd at about level 3, encryption, and no cache but its own.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use chronos_tests::S3_BUCKET;

use crate::measure::Step;
use crate::place::Place;

/// Where the configuration of `chronos` lies below the folder that is its home.
pub(crate) const CONFIG: &str = ".config/chronos/chronos.toml";

/// Writes a small file, and the folders above it.
pub(crate) fn lay(path: &Path, text: &str) -> Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::File::create(path)?.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}

/// A backup program.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its name in the tables.
    pub(crate) name: String,
    program: PathBuf,
    kind: Kind,
    /// Where its repository is.
    pub(crate) repository: Place,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Chronos,
    Restic,
    Rustic,
    Borg,
    Bupstash,
}

/// What a program is asked to do.
#[derive(Debug)]
pub(crate) enum Action<'a> {
    /// Back a folder up.
    Backup(&'a Path),
    /// Restore the newest snapshot of a folder below another.
    Restore { data: &'a Path, out: &'a Path },
    /// Read and check everything.
    Check,
    /// A command line of this program alone.
    Line(&'static str),
    /// Forget all but the newest snapshot, and give space back.
    Prune,
}

impl Tool {
    /// `chronos`, and the others that can be started.
    pub(crate) fn installed(chronos: &Path, repository: &Place) -> Vec<Self> {
        let tool = |name: &str, program: &Path, kind| Self {
            name: name.into(),
            program: program.to_owned(),
            kind,
            repository: repository.clone(),
        };
        let mut tools = vec![tool("chronos", chronos, Kind::Chronos)];
        for (name, kind, version) in [
            ("bupstash", Kind::Bupstash, "--version"),
            ("restic", Kind::Restic, "version"),
            ("rustic", Kind::Rustic, "--version"),
            ("borg", Kind::Borg, "--version"),
        ] {
            let started =
                Command::new(name).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
            // Borg and bupstash know no object stores.
            let fits = matches!(repository, Place::Folder) || matches!(kind, Kind::Restic | Kind::Rustic);
            if fits && started.is_ok_and(|status| status.success()) {
                tools.push(tool(name, Path::new(name), kind));
            }
        }
        tools
    }

    /// Whether it has a command that checks all data.
    pub(crate) fn checks(&self) -> bool {
        !matches!(self.kind, Kind::Bupstash)
    }

    fn environment(&self, command: &mut Command, place: &Path) {
        let (repository, cache) = (self.location(place), place.join("cache"));
        command.env("HOME", place).env("XDG_CACHE_HOME", &cache).env("XDG_STATE_HOME", place.join("state"));
        if let Place::Bucket(bucket) = &self.repository {
            command.envs(bucket.variables());
        }
        match self.kind {
            Kind::Chronos => {
                command.env("CHRONOS_REPO", repository).env("CHRONOS_KEY_FILE", place.join("key"))
            }
            Kind::Restic => command.env("RESTIC_REPOSITORY", repository).env("RESTIC_PASSWORD", "bench"),
            Kind::Rustic => command.env("RUSTIC_REPOSITORY", repository).env("RUSTIC_PASSWORD", "bench"),
            Kind::Borg => command
                .env("BORG_REPO", repository)
                .env("BORG_PASSPHRASE", "bench")
                .env("BORG_BASE_DIR", cache),
            Kind::Bupstash => {
                command.env("BUPSTASH_REPOSITORY", repository).env("BUPSTASH_KEY", place.join("key"))
            }
        };
    }

    /// Its repository, in its own words.
    fn location(&self, place: &Path) -> OsString {
        let Place::Bucket(bucket) = &self.repository else { return place.join("repository").into() };
        let endpoint = &bucket.endpoint;
        match self.kind {
            Kind::Restic => format!("s3:{endpoint}/{S3_BUCKET}/restic").into(),
            Kind::Rustic => "opendal:s3".into(),
            _ => format!("s3://{S3_BUCKET}/{}?endpoint={endpoint}", self.name).into(),
        }
    }

    /// Writes what a program wants to read of its repository from a file.
    fn configure(&self, place: &Path) -> Result<()> {
        let (Place::Bucket(bucket), Kind::Rustic) = (&self.repository, self.kind) else { return Ok(()) };
        let options = format!(
            "[repository.options]\nbucket = \"{S3_BUCKET}\"\nroot = \"/rustic\"\nendpoint = \"{}\"\nregion = \"us-east-1\"\n",
            bucket.endpoint
        );
        lay(&place.join(".config/rustic/rustic.toml"), &options)
    }

    /// Makes an empty repository in `place`.
    pub(crate) fn init(&self, place: &Path) -> Result<()> {
        let line = match self.kind {
            Kind::Chronos if place.join("key").exists() => "rm $HOME/key; $P init",
            Kind::Chronos | Kind::Restic | Kind::Rustic => "$P init",
            Kind::Borg => "$P init -e repokey-blake2",
            Kind::Bupstash => "$P init && rm -f $HOME/key && $P new-key -o $HOME/key",
        };
        self.configure(place)?;
        let output = self.shell(line, place).output()?;
        ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A command line in which `$P` is the program, `$DATA` and `$OUT` folders.
    fn line(&self, action: &Action<'_>) -> &'static str {
        match (self.kind, action) {
            (_, Action::Line(line)) => line,
            (Kind::Chronos | Kind::Restic, Action::Backup(_)) => "$P -q backup $DATA",
            (Kind::Rustic, Action::Backup(_)) => "$P --log-level warn --no-progress backup $DATA",
            (Kind::Borg, Action::Backup(_)) => "cd $DATA && $P create -C zstd,3 ::$(date +%s%N) .",
            (Kind::Bupstash, Action::Backup(_)) => "$P put -q name=data $DATA",
            (Kind::Chronos, Action::Restore { .. }) => "$P -q restore latest:$DATA --to $OUT/data",
            (Kind::Restic, Action::Restore { .. }) => "$P -q restore latest:$DATA --target $OUT",
            (Kind::Rustic, Action::Restore { .. }) => {
                "$P --log-level warn --no-progress restore latest:$DATA $OUT"
            }
            (Kind::Borg, Action::Restore { .. }) => "cd $OUT && $P extract ::$($P list --last 1 --short)",
            (Kind::Bupstash, Action::Restore { .. }) => {
                "$P restore -q --into $OUT id=$($P list --format=jsonl1 | tail -1 | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')"
            }
            (Kind::Chronos | Kind::Restic, Action::Check) => "$P -q check --read-data",
            (Kind::Rustic, Action::Check) => "$P --log-level warn --no-progress check --read-data",
            (Kind::Borg, Action::Check) => "$P check --verify-data",
            (Kind::Bupstash, Action::Check) => "false",
            (Kind::Chronos, Action::Prune) => "$P -q forget --keep-last 1 && $P -q prune",
            (Kind::Restic, Action::Prune) => "$P -q forget --keep-last 1 --prune",
            (Kind::Rustic, Action::Prune) => {
                "$P --log-level warn --no-progress forget --keep-last 1 && $P --log-level warn --no-progress prune --instant-delete"
            }
            (Kind::Borg, Action::Prune) => "$P prune --keep-last 1 && $P compact",
            (Kind::Bupstash, Action::Prune) => {
                "$P list --format=jsonl1 | head -n -1 | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/' | xargs -I@ $P rm -q id=@ && $P gc -q"
            }
        }
    }

    /// A command line in the environment of `place`, not yet started.
    pub(crate) fn shell(&self, line: &str, place: &Path) -> Command {
        let mut command = Command::new("sh");
        self.environment(&mut command, place);
        command.env("P", &self.program).args(["-c", line]);
        command
    }

    /// Runs and measures one action with GNU time.
    pub(crate) fn step(
        &self,
        name: &'static str,
        action: &Action<'_>,
        place: &Path,
        bytes: u64,
    ) -> Result<Step> {
        let before = self.repository.stored(place)?;
        self.repository.take_requests();
        let (figures, line) = (place.join("figures"), self.line(action));
        let mut command = Command::new("/usr/bin/time");
        self.environment(&mut command, place);
        match action {
            Action::Backup(data) => command.env("DATA", data),
            Action::Restore { data, out } => command.env("DATA", data).env("OUT", out),
            Action::Check | Action::Prune | Action::Line(_) => &mut command,
        };
        command.env("P", &self.program).args(["-f", "%U %S %M", "-o"]).arg(&figures).args(["sh", "-c", line]);
        let start = Instant::now();
        let output = command.output().context("GNU time (Debian package time) is needed")?;
        let wall = start.elapsed().as_secs_f64();
        ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let figures = fs::read_to_string(&figures)?;
        let [user, system, rss] = figures.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("GNU time printed {figures:?}");
        };
        Ok(Step {
            tool: self.name.clone(),
            name,
            bytes,
            wall,
            cpu: user.parse::<f64>()? + system.parse::<f64>()?,
            rss_kib: rss.parse()?,
            stored: self.repository.stored(place)?.cast_signed() - before.cast_signed(),
            requests: self.repository.take_requests(),
            beyond_fresh: None,
        })
    }
}
