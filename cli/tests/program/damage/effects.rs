//! What commands that write claim, and whether it is so: who says that something is done has done it, and nobody does it in silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::fixture::{Copy, Fixture, Restored, SECOND_KEY, Taken, Tree, objects, replace};
use crate::support::Ran;

/// The key file that `keys add` makes.
pub(crate) const NEW_KEY: &str = "new.key";

/// The tag that `tag` adds.
pub(crate) const NEW_TAG: &str = "added";

/// The slot of the key that this home has, or of the other one, wherever it lies now.
pub(crate) fn slot(fixture: &Fixture, copy: &Copy, is_own: bool) -> String {
    let name = if is_own { fixture.slot.as_str() } else { "keys/ffffffff" };
    let good = fixture.bytes(name);
    let all = objects(&copy.home.repository());
    let mut slots = all.iter().filter(|name| name.starts_with("keys/"));
    let found = slots.find(|name| fs::read(copy.file(name)).unwrap() == good);
    found.map_or(name, String::as_str).trim_start_matches("keys/").to_owned()
}

/// What is to be seen of a command that writes.
pub(crate) struct Effect<'a> {
    pub(crate) fixture: &'a Fixture,
    /// The repository as it was.
    pub(crate) old: &'a Copy,
    /// The repository in which the command ran.
    pub(crate) copy: &'a Copy,
    pub(crate) command: &'a str,
    /// What could be restored.
    pub(crate) before: &'a BTreeMap<&'static str, Restored>,
}

impl Effect<'_> {
    /// The words with which the command says that it is done; `None` if it says more than that.
    fn claim(&self) -> Option<&'static str> {
        match self.command.split_once(' ')?.0 {
            "delete" => Some("is deleted"),
            "undelete" => Some("is back"),
            "hold" => Some("is held"),
            "tag" => Some(NEW_TAG),
            "forget" => Some(" removed"),
            "rewrite" => Some(" is now "),
            "keys" if self.command == "keys add" => Some("Added: "),
            "keys" => Some("Removed: "),
            _ => None,
        }
    }

    /// Whether it is done what was asked for; that is so if and only if the command says so. What it took away is back afterwards.
    #[track_caller]
    pub(crate) fn is_done(&self, ran: &Ran) -> bool {
        let Some(words) = self.claim() else { return false };
        let (said, command) = (ran.stdout.contains(words), self.command);
        assert!(said || ran.code != 0, "{command} ends well, and nothing is done: {ran:?}");
        assert_eq!(self.is_seen(), said, "{command} says otherwise: {ran:?}");
        if said {
            self.undo();
        }
        said
    }

    fn is_seen(&self) -> bool {
        let row = |taken: &Taken| rows(self.copy).into_iter().find(|row| row["backup_id"] == *taken.id);
        let old = || row(&self.fixture.taken["old"]);
        match self.command {
            "delete touched" => row(&self.fixture.taken["touched"]).is_none() && !rows(self.copy).is_empty(),
            "hold old" => old().is_some_and(|row| row["held"] == true),
            "tag old" => old().is_some_and(|row| row["tags"].to_string().contains(NEW_TAG)),
            "forget --keep-last 1" => {
                let newest = |copy: &Copy| rows(copy).first().map(|row| row["backup_id"].clone());
                rows(self.copy).len() == 1 && newest(self.copy) == newest(self.old)
            }
            "rewrite old" => self.is_rewritten(),
            "keys add" => {
                let slots = |copy: &Copy| {
                    objects(&copy.home.repository()).iter().filter(|name| name.starts_with("keys/")).count()
                };
                let [own, new] = [&["snapshots"][..], &["snapshots", "--key-file", NEW_KEY]]
                    .map(|words| self.copy.run(words));
                slots(self.copy) > slots(self.old) && (own.code, own.stdout) == (new.code, new.stdout)
            }
            command => match command.strip_prefix("keys remove ") {
                Some(which) => {
                    let file = format!("keys/{}", slot(self.fixture, self.old, which == "first"));
                    self.old.file(&file).exists() && !self.copy.file(&file).exists()
                }
                None => row(self.fixture.forgotten.as_ref().unwrap()).is_some(),
            },
        }
    }

    /// Whether there is a snapshot anew of the oldest one, with all of it that could be restored but what was to go, and without that.
    fn is_rewritten(&self) -> bool {
        let old = &self.fixture.taken["old"];
        let mut new = rows(self.copy).into_iter().filter(|row| row["metadata"]["rewritten_from"] == *old.id);
        let Some(row) = new.next() else { return false };
        let tree: Tree =
            old.tree.clone().into_iter().filter(|(path, _)| path != Path::new("a.txt")).collect();
        let id = row["backup_id"].as_str().unwrap().to_owned();
        let (inside, decision, pack) = (old.inside.clone(), old.decision.clone(), old.pack.clone());
        let new = Taken { id, tree, inside, decision, pack };
        let restored = self.copy.restore(&new).0.equal;
        let lost: Vec<_> = self.before["old"].equal.difference(&restored).collect();
        assert!(lost.iter().all(|path| *path == Path::new("a.txt")), "lost in the new one: {lost:?}");
        let listed = self.copy.run(&["ls", "-R", &new.id]);
        assert!(!listed.stdout.contains("a.txt"), "{listed:?}");
        rows(self.copy).iter().all(|row| row["backup_id"] != *old.id)
    }

    /// Deleted snapshots can be brought back; who has the other key opens the repository.
    #[track_caller]
    fn undo(&self) {
        if self.command == "keys remove first" {
            let keys = fs::read_dir(self.copy.home.path(".config/chronos/keys")).unwrap();
            let second = fs::read(self.copy.home.path(SECOND_KEY)).unwrap();
            keys.for_each(|key| replace(&key.unwrap().path(), Some(&second)));
        }
        let ids = |copy: &Copy| -> Vec<String> {
            rows(copy).iter().map(|row| row["backup_id"].as_str().unwrap().to_owned()).collect()
        };
        let now = ids(self.copy);
        for id in ids(self.old).iter().filter(|id| !now.contains(id)) {
            let back = self.copy.run(&["undelete", id]);
            assert!(back.stdout.contains("is back"), "{}: {back:?}", self.command);
        }
    }
}

/// The snapshots that are listed, newest first.
fn rows(copy: &Copy) -> Vec<Value> {
    serde_json::from_str(&copy.run(&["snapshots", "--json"]).stdout).unwrap_or_default()
}
