//! How each tool is called. All with zstd at about level 3, encryption, and no cache but their own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::measure::{Step, du};

/// A backup program.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its name in the table.
    pub(crate) name: String,
    program: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Chronos,
    Restic,
}

fn words(fixed: &[&str], path: Option<&Path>) -> Vec<OsString> {
    fixed.iter().map(OsString::from).chain(path.map(|p| p.as_os_str().to_owned())).collect()
}

impl Tool {
    /// `chronos`, and restic if it can be started.
    pub(crate) fn installed(chronos: &Path) -> Vec<Self> {
        let mut tools =
            vec![Self { name: "chronos".into(), program: chronos.to_owned(), kind: Kind::Chronos }];
        let restic =
            Command::new("restic").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if restic.is_ok_and(|s| s.success()) {
            tools.push(Self { name: "restic".into(), program: "restic".into(), kind: Kind::Restic });
        }
        tools
    }

    fn environment(&self, command: &mut Command, place: &Path) {
        let repository = place.join("repository");
        command.env("HOME", place).env("XDG_CACHE_HOME", place.join("cache"));
        match self.kind {
            Kind::Chronos => command.env("CHRONOS_REPO", repository),
            Kind::Restic => command.env("RESTIC_REPOSITORY", repository).env("RESTIC_PASSWORD", "bench"),
        };
    }

    /// Makes an empty repository in `place`.
    pub(crate) fn init(&self, place: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        self.environment(&mut command, place);
        let output = command.arg("init").output().with_context(|| self.name.clone())?;
        ensure!(output.status.success(), "{} init: {}", self.name, String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Arguments that back `folder` up.
    pub(crate) fn backup(folder: &Path) -> Vec<OsString> {
        words(&["-q", "backup"], Some(folder))
    }

    /// Arguments that restore the newest snapshot below `out`.
    pub(crate) fn restore(&self, out: &Path) -> Vec<OsString> {
        match self.kind {
            Kind::Chronos => words(&["-q", "restore", "latest", "--to"], Some(out)),
            Kind::Restic => words(&["-q", "restore", "latest", "--verify", "--target"], Some(out)),
        }
    }

    /// Arguments that read and check everything.
    pub(crate) fn check() -> Vec<OsString> {
        words(&["-q", "check", "--read-data"], None)
    }

    /// Runs and measures one command with GNU time.
    pub(crate) fn step(
        &self,
        name: &'static str,
        bytes: u64,
        place: &Path,
        args: &[OsString],
    ) -> Result<Step> {
        let repository = place.join("repository");
        let before = du(&repository)?;
        let figures = place.join("figures");
        let mut command = Command::new("/usr/bin/time");
        self.environment(&mut command, place);
        command.args(["-f", "%U %S %M", "-o"]).arg(&figures).arg(&self.program).args(args);
        let start = Instant::now();
        let output = command.output().context("GNU time (Debian package time) is needed")?;
        let wall = start.elapsed().as_secs_f64();
        ensure!(
            output.status.success(),
            "{} {args:?}: {}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        let figures = std::fs::read_to_string(&figures)?;
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
            stored: du(&repository)?.cast_signed() - before.cast_signed(),
        })
    }
}
