//! Uses a repository through the program: each client is a home folder, and being stopped is being killed after a while.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use chronos_snapshot::printable;
use chronos_store::backend::{BackendExt, LocalBackend};
use chronos_tests::Program;
use serde_json::Value;

use super::engine::{Answer, BackupOrder, Engine, Failure, Order, ParentOrder, RestoreOrder, host};
use super::model::{Listing, Row};
use super::operations::{Kind, Overwrite, Repair, Stop, Strategy};

/// A repository in a folder, its keys, and a home for each client.
#[derive(Debug)]
pub(super) struct Binary {
    home: PathBuf,
    repository: PathBuf,
}

type Words = Vec<String>;

fn words(text: &str) -> Words {
    text.split(' ').map(str::to_owned).collect()
}

impl Binary {
    /// A new repository that key 0 opens.
    pub(super) fn new(home: &Path) -> Self {
        let binary = Self { home: home.to_owned(), repository: home.join("repository") };
        fs::create_dir(home.join("keys")).unwrap();
        binary.make_key(0);
        binary.call(0, 0, words("init"), None).unwrap();
        binary
    }

    fn key(&self, key: u8) -> PathBuf {
        self.home.join(format!("keys/{key}.key"))
    }

    fn make_key(&self, key: u8) {
        fs::write(self.key(key), format!("{:02x}", key + 1).repeat(32)).unwrap();
    }

    fn folder(&self, client: usize) -> PathBuf {
        self.home.join(format!("client{client}"))
    }

    /// Runs the program; the document that it answers with.
    fn call(&self, client: usize, key: u8, words: Words, stop: Option<Stop>) -> Result<Value, Failure> {
        let home = self.folder(client);
        fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(Program::path());
        command.env_clear().env("HOME", &home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("CHRONOS_REPO", &self.repository).env("CHRONOS_KEY_FILE", self.key(key));
        let command = command.arg("--json").args(&words).current_dir(&home).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        if let Some(stop) = stop {
            let (_never, timer) = mpsc::channel::<()>();
            let time_is_up = timer.recv_timeout(Duration::from_millis(stop.call));
            assert_eq!(time_is_up, Err(RecvTimeoutError::Timeout));
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0 | 3) => serde_json::from_slice(&output.stdout)
                .map_err(|e| Failure::Failed(format!("{words:?}: no document: {e}"))),
            Some(1 | 2) => Err(Failure::Refused(said)),
            Some(12) => Err(Failure::WrongKey),
            None if stop.is_some() => Err(Failure::Stopped),
            code => Err(Failure::Failed(format!("{words:?} ended with {code:?}: {said}"))),
        }
    }

    fn local(&self, client: usize, order: &Order) {
        let folder = self.folder(client);
        let (cache, kept) = (folder.join(".cache"), folder.join("kept"));
        match order {
            Order::LoseCache => super::library::remove(&cache),
            Order::KeepCache => {
                super::library::remove(&kept);
                super::library::copy(&cache, &kept);
            }
            Order::OldCache if kept.exists() => {
                super::library::remove(&cache);
                super::library::copy(&kept, &cache);
            }
            _ => {}
        }
    }

    /// The slot of a key, by its label.
    fn slot(&self, client: usize, key: u8, wanted: u8) -> Result<String, Failure> {
        let label = if wanted == 0 { "first".to_owned() } else { format!("key {wanted}") };
        let slots = self.call(client, key, words("keys list"), None)?;
        let slot = slots.as_array().unwrap().iter().find(|s| s["label"] == label.as_str());
        Ok(slot.map_or_else(String::new, |s| text(&s["slot"])))
    }

    fn words(&self, client: usize, key: u8, order: &Order) -> Result<Words, Failure> {
        let named = |verb: &str, name: &str| vec![verb.to_owned(), name.to_owned()];
        let dry = |dry_run: &bool| if *dry_run { words("--dry-run") } else { Vec::new() };
        Ok(match order {
            Order::Backup(order) => backup(client, order),
            Order::Restore(order) => restore(order),
            Order::Forget(name) => named("delete", name),
            Order::Undelete(name) => named("undelete", name),
            Order::Hold(name) => named("hold", name),
            Order::Release(name) => named("release", name),
            Order::Tag(name, tags) if tags.is_empty() => {
                [named("tag", name), words("--remove x --remove y --remove \u{fc}")].concat()
            }
            Order::Tag(name, tags) => {
                let set = tags.iter().flat_map(|tag| ["--set".to_owned(), tag.clone()]);
                named("tag", name).into_iter().chain(set).collect()
            }
            Order::ForgetByRule { last, target, dry_run } => {
                let of = target.as_ref().map(|t| words(&format!("--target {t}"))).unwrap_or_default();
                [words(&format!("forget --keep-last {last}")), of, dry(dry_run)].concat()
            }
            Order::Prune(prune) => {
                let limits = format!(
                    "prune --keep-deleted {}h --max-unused {}%",
                    prune.keep_hours, prune.dead_percent_max
                );
                let most = prune.repack_bytes_max.map(|n| words(&format!("--max-repack {n}")));
                [words(&limits), most.unwrap_or_default(), dry(&prune.dry_run)].concat()
            }
            Order::Check { read_data } => words(if *read_data { "check --read-data" } else { "check" }),
            Order::Repair { what, dry_run } => {
                let what = match what {
                    Repair::Index => "repair index",
                    Repair::Packs => "repair packs",
                    Repair::Snapshots => "repair snapshots",
                };
                [words(what), dry(dry_run)].concat()
            }
            Order::Rewrite { of, exclude, dry_run } => {
                [named("rewrite", of), words("--exclude"), vec![exclude.clone()], dry(dry_run)].concat()
            }
            Order::AddKey(new) => {
                self.make_key(*new);
                let file = self.key(*new).display().to_string();
                vec![
                    "keys".into(),
                    "add".into(),
                    "--new-key-file".into(),
                    file,
                    "--label".into(),
                    format!("key {new}"),
                ]
            }
            Order::RemoveKey(old) => [words("keys remove"), vec![self.slot(client, key, *old)?]].concat(),
            Order::LoseCache | Order::KeepCache | Order::OldCache | Order::Wait { .. } => Vec::new(),
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn backup(client: usize, order: &BackupOrder) -> Words {
    let mut all = vec!["backup".to_owned(), "--host".to_owned(), host(client)];
    all.extend(["--target".to_owned(), order.target.clone()]);
    all.extend(order.roots.iter().map(|root| root.display().to_string()));
    match (&order.parent, order.read_all) {
        (ParentOrder::Named(name), _) => all.extend(["--parent".to_owned(), name.clone()]),
        (_, true) => all.push("--rehash".to_owned()),
        _ => {}
    }
    match order.kind {
        Kind::Always => {}
        Kind::IfChanged => all.push("--skip-if-unchanged".to_owned()),
        Kind::DryRun => all.push("--dry-run".to_owned()),
    }
    all
}

fn restore(order: &RestoreOrder) -> Words {
    let of = match &order.part {
        None => order.of.clone(),
        Some(path) => format!("{}:{}", order.of, printable(path.as_os_str().as_bytes())),
    };
    let mut all = vec!["restore".to_owned(), of, "--no-restore-point".to_owned()];
    let mut add = |option: &str, value: Option<String>| {
        all.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
    };
    add("--to", order.to.as_ref().map(|to| to.display().to_string()));
    let strategy = order.strategy.map(|strategy| match strategy {
        Strategy::Overwrite => "overwrite",
        Strategy::Replace => "replace",
        Strategy::Merge => "merge",
    });
    add("--strategy", strategy.map(str::to_owned));
    let overwrite = order.overwrite.map(|overwrite| match overwrite {
        Overwrite::Always => "always",
        Overwrite::IfChanged => "if-changed",
        Overwrite::IfNewer => "if-newer",
        Overwrite::Never => "never",
    });
    add("--overwrite", overwrite.map(str::to_owned));
    add("--include", order.include.clone());
    add("--exclude", order.exclude.clone());
    if order.dry_run {
        all.push("--dry-run".to_owned());
    }
    all
}

/// What a document says.
fn answer(order: &Order, document: &Value) -> Answer {
    let list = |field: &str| document[field].as_array().cloned().unwrap_or_default();
    let plain = Answer::default();
    match order {
        Order::Backup(order) => Answer {
            backup_id: Some(text(&document["backup_id"])).filter(|_| order.kind != Kind::DryRun),
            unchanged: document["unchanged"] == true,
            partial: document["error_count"] != 0,
            ..plain
        },
        Order::Restore(order) if order.dry_run => plain,
        Order::Restore(_) => Answer { partial: document["status"] != "completed", ..plain },
        Order::Prune(_) => Answer { pending: document["pending_bytes"] != 0, ..plain },
        Order::Check { .. } | Order::Repair { what: Repair::Index, .. } => {
            Answer { findings: list("errors").iter().map(Value::to_string).collect(), ..plain }
        }
        Order::Repair { .. } => {
            let all = [list("errors"), list("actions")].concat();
            Answer { findings: all.iter().map(Value::to_string).collect(), ..plain }
        }
        _ => plain,
    }
}

impl Engine for Binary {
    const CAN_WAIT: bool = false;

    fn run(&mut self, client: usize, key: u8, order: &Order, stop: Option<Stop>) -> Result<Answer, Failure> {
        let words = self.words(client, key, order)?;
        if words.is_empty() {
            self.local(client, order);
            return Ok(Answer::default());
        }
        let document = self.call(client, key, words, stop);
        if document == Err(Failure::Stopped) && matches!(order, Order::Restore(_)) {
            // The next restore undoes what was begun; one that finds nothing to do is enough.
            let undo = words_of_an_empty_restore(&self.home);
            drop(self.call(client, key, undo, None));
        }
        Ok(answer(order, &document?))
    }

    fn listing(&mut self, client: usize, key: u8) -> Result<Listing, Failure> {
        let mut listing = Listing::new();
        for (words_of, deleted) in [("snapshots", false), ("snapshots --deleted", true)] {
            let rows = self.call(client, key, words(words_of), None)?;
            for row in rows.as_array().unwrap() {
                let tags = row["tags"].as_array().unwrap().iter().map(text).collect();
                let (target, host) = (text(&row["target"]), text(&row["host"]));
                let held = row["held"] == true;
                listing.insert(text(&row["backup_id"]), Row { target, host, deleted, held, tags });
            }
        }
        Ok(listing)
    }

    fn mark(&self) -> Vec<(String, u64)> {
        let objects = LocalBackend::new(&self.repository).list_all("").unwrap();
        objects.into_iter().map(|entry| (entry.name, entry.size)).collect()
    }
}

/// Restores a part that no snapshot has: refused, but what was begun before is ended first.
fn words_of_an_empty_restore(home: &Path) -> Words {
    let part = format!("latest:{}", home.join("nothing is here").display());
    vec!["restore".to_owned(), part, "--to".to_owned(), home.join("nowhere").display().to_string()]
}
