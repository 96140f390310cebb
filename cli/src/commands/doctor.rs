//! `chronos doctor`: looks at the whole installation and says what to do.

use std::path::Path;

use chronos_server::operations::offsite::offsite;
use chronos_server::shown;
use chronos_server::workplace::{exists, key_file};
use chronos_snapshot::counted;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{local_time, size};

/// Free space below which a backup is likely to fail soon.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// Age of the newest snapshot after which somebody has probably forgotten something.
const AGE_DAYS_MAX: i64 = 7;

/// Hours by which clocks of several hosts may differ without anything being wrong.
const FUTURE_HOURS_MAX: i64 = 24;

/// Check the whole installation, and say what to do
#[derive(Debug, Args)]
pub(crate) struct Doctor {}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    status: State,
    version: &'static str,
    findings: &'a [Finding],
}

/// What was found, and how the command ends.
#[derive(Default)]
struct Examination {
    findings: Vec<Finding>,
    exit: Option<Exit>,
}

impl Examination {
    fn ok(&mut self, what: &'static str, detail: impl Into<String>) {
        self.findings.push(Finding { what, state: State::Ok, detail: detail.into(), advice: None });
    }

    fn warning(&mut self, what: &'static str, detail: impl Into<String>, advice: impl Into<String>) {
        let advice = Some(advice.into());
        self.findings.push(Finding { what, state: State::Warning, detail: detail.into(), advice });
    }

    fn problem(&mut self, what: &'static str, failure: &Failure) {
        let (detail, advice) = (failure.message.clone(), failure.hint.clone());
        self.findings.push(Finding { what, state: State::Problem, detail, advice });
        self.exit = Some(self.exit.map_or(failure.exit, |e| e.worst(failure.exit)));
    }
}

impl Doctor {
    /// Runs the command.
    pub(crate) fn run(app: &App) -> Result<Exit, Failure> {
        let mut found = Examination::default();
        match app.workplace() {
            Err(failure) => found.problem("configuration", &failure),
            Ok(settings) => {
                let file =
                    settings.config_file.as_deref().map_or_else(|| "none, defaults hold".into(), shown);
                found.ok("configuration", file);
                folders(app, &mut found)?;
                keys(app, &mut found)?;
                repository(app, &mut found);
            }
        }
        let worst = |state| found.findings.iter().any(|f| f.state == state);
        let status = match (worst(State::Problem), worst(State::Warning)) {
            (true, _) => State::Problem,
            (false, true) => State::Warning,
            (false, false) => State::Ok,
        };
        for finding in &found.findings {
            let mark = match finding.state {
                State::Ok => "ok      ",
                State::Warning => "warning ",
                State::Problem => "PROBLEM ",
            };
            app.output.line(format!("{mark} {:<14} {}", finding.what, finding.detail))?;
            if let Some(advice) = &finding.advice {
                app.output.line(format!("{:24}{advice}", ""))?;
            }
        }
        let version = env!("CARGO_PKG_VERSION");
        app.output.document(&Document { status, version, findings: &found.findings })?;
        Ok(found.exit.unwrap_or(Exit::Done))
    }
}

/// The program's own folders.
fn folders(app: &App, found: &mut Examination) -> Result<(), Failure> {
    let places = &app.workplace()?.places;
    for (what, path) in [("state", &places.state), ("cache", &places.cache)] {
        let nearest = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
        if rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK).is_ok() {
            found.ok(what, shown(path));
        } else {
            let why = match what {
                "cache" => "the program works without it, but slower; --cache-dir names another folder",
                _ => "restores over existing files and backups need it; set XDG_STATE_HOME",
            };
            found.warning(what, format!("{} cannot be written", shown(path)), why);
        }
    }
    Ok(())
}

/// The key files of this user.
fn keys(app: &App, found: &mut Examination) -> Result<(), Failure> {
    let folder = app.workplace()?.places.keys();
    let files = key_file::list(&folder)?;
    for file in files.iter().filter(|f| key_file::is_exposed(f)) {
        let advice = format!("chmod 600 {}", shown(file));
        found.warning("key file", format!("others may read {}", shown(file)), advice);
    }
    if !files.is_empty() {
        let detail = format!("{} in {}; keep copies elsewhere", files.len(), shown(&folder));
        found.ok("key files", detail);
    }
    Ok(())
}

/// The repository that is meant.
fn repository(app: &App, found: &mut Examination) {
    let looked = (|| {
        let location = &app.workplace()?.location;
        if !exists(&*app.workplace()?.backend()?)? {
            let advice = "`chronos backup FOLDER` or `chronos init` makes it";
            found.warning("repository", format!("none yet at {}", location.shown()), advice);
            return Ok(());
        }
        let catalog = Catalog::open(app)?;
        found.ok("repository", format!("{} ({})", location.shown(), catalog.repository.id()));
        if let Some(folder) = location.folder() {
            space(folder, found);
        }
        let slots = catalog.repository.key_slots()?.len();
        if slots == 1 {
            let advice = "`chronos kit export` makes a recovery kit, `chronos keys add` adds a password or key file, in case this one gets lost";
            found.warning("keys", "only one key opens the repository", advice);
        } else {
            found.ok("keys", format!("{slots} keys open the repository"));
        }
        snapshots(app, &catalog, found);
        copies(app, &catalog, found)?;
        Ok::<(), Failure>(())
    })();
    if let Err(failure) = looked {
        found.problem("repository", &failure);
    }
}

/// The copies at other places.
fn copies(app: &App, catalog: &Catalog, found: &mut Examination) -> Result<(), Failure> {
    for copy in offsite(app.workplace()?, Some(&**catalog))? {
        let last = copy.last_success.as_deref().map_or_else(|| "none yet".to_owned(), local_time);
        let missing = counted(copy.snapshots_missing.unwrap_or(0), "snapshot");
        let detail = format!("{}: {missing} missing, the last whole copy: {last}", copy.destination);
        match copy.problems().first() {
            Some(problem) => found.warning("offsite", detail, problem.clone()),
            None => found.ok("offsite", detail),
        }
    }
    Ok(())
}

fn space(path: &Path, found: &mut Examination) {
    let Ok(fs) = rustix::fs::statvfs(path) else {
        return found.warning("free space", "cannot be told", "look at the disk yourself");
    };
    let free = fs.f_bavail.saturating_mul(fs.f_frsize);
    if free < FREE_BYTES_MIN {
        found.warning("free space", size(free), "`chronos prune` gives back what no snapshot needs");
    } else {
        found.ok("free space", size(free));
    }
}

fn snapshots(app: &App, catalog: &Catalog, found: &mut Examination) {
    if catalog.exit() == Exit::Damage {
        let failure = Failure::new(Exit::Damage, "manifests of snapshots cannot be read");
        found.problem("snapshots", &failure.hint("`chronos check` names them"));
    }
    let good = catalog.snapshots.iter().filter(|s| s.is_good() && !s.is_before_rollback());
    let newest = good.max_by_key(|s| s.taken_at());
    let Some(newest) = newest else {
        return found.warning("snapshots", "no good snapshot yet", "`chronos backup FOLDER`");
    };
    let detail = format!(
        "{}; the newest good one is {} of {}",
        catalog.snapshots.len(),
        newest.manifest.backup_id,
        local_time(&newest.manifest.created_at)
    );
    let now = Timestamp::from_nanosecond(app.env.clock.now()).unwrap_or(Timestamp::MAX);
    if newest.taken_at().duration_since(now).as_hours() >= FUTURE_HOURS_MAX {
        let advice = "a clock was wrong, or --time was: until then it is what `latest` means; `chronos delete` takes it away";
        found.warning("snapshots", format!("{detail}, which lies in the future"), advice);
    } else if now.duration_since(newest.taken_at()).as_hours() > AGE_DAYS_MAX * 24 {
        found.warning(
            "snapshots",
            detail,
            format!("that is more than {AGE_DAYS_MAX} days old: is the backup still run?"),
        );
    } else {
        found.ok("snapshots", detail);
    }
    let bad = catalog.snapshots.iter().filter(|s| matches!(s.status(), "corrupted" | "missing")).count();
    if bad > 0 {
        let failure = Failure::new(Exit::Damage, format!("damage was found in {}", counted(bad, "snapshot")));
        found.problem("damage", &failure.hint("`chronos snapshots --status corrupted` lists them; back up again, then `chronos repair packs`"));
    }
}
