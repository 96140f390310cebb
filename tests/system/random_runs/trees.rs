//! What restores make of trees, by the documentation alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chronos_tests::compare::Captured;

use super::model::Tree;
use super::operations::{Overwrite, Strategy};

/// The names of one file are known by the first of them.
fn name_links(tree: &mut BTreeMap<PathBuf, (bool, Captured)>) -> Tree {
    let mut first: BTreeMap<(bool, PathBuf), PathBuf> = BTreeMap::new();
    for (path, (own, entry)) in tree.iter() {
        first.entry((*own, entry.first_name.clone())).or_insert_with(|| path.clone());
    }
    let named = |(path, (own, mut entry)): (PathBuf, (bool, Captured))| {
        let key = (own, std::mem::take(&mut entry.first_name));
        entry.first_name.clone_from(&first[&key]);
        (path, entry)
    };
    std::mem::take(tree).into_iter().map(named).collect()
}

/// Only some entries, each at the path that it is given.
pub(super) fn mapped(tree: &Tree, place: impl Fn(&Path) -> Option<PathBuf>) -> Tree {
    let placed = tree.iter().filter_map(|(path, entry)| Some((place(path)?, (true, entry.clone()))));
    name_links(&mut placed.collect())
}

/// One entry with what is below it: the content of a folder, or a file under its own name.
pub(super) fn part(tree: &Tree, at: &Path) -> Tree {
    let is_dir = tree[at].kind == "folder";
    mapped(tree, |path| {
        let below = path.strip_prefix(at).ok()?;
        if is_dir { Some(below.to_owned()) } else { at.file_name().map(PathBuf::from) }
    })
}

fn has_name(path: &Path, name: &str) -> bool {
    path.iter().any(|part| part == name)
}

/// Without what has a name, and what is below it.
pub(super) fn without(tree: &Tree, name: &str) -> Tree {
    mapped(tree, |path| (!has_name(path, name)).then(|| path.to_owned()))
}

/// Only what has a name, what is below it, and the folders that lead there.
pub(super) fn only(tree: &Tree, name: &str) -> Tree {
    let leads = |path: &Path| tree.keys().any(|p| p.starts_with(path) && has_name(p, name));
    mapped(tree, |path| leads(path).then(|| path.to_owned()))
}

/// What restoring a tree over another makes of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This tree; whether something had to be left as it was.
    Made(Tree, bool),
    /// Something is in the way: nothing is changed.
    Refused,
}

/// What restoring `new` over `old` makes of it.
pub(super) fn over(old: &Tree, new: &Tree, strategy: Strategy, overwrite: Option<Overwrite>) -> Outcome {
    let default = if strategy == Strategy::Merge { Overwrite::Never } else { Overwrite::Always };
    let mode = overwrite.unwrap_or(default);
    let replace = strategy == Strategy::Replace;
    if replace && matches!(mode, Overwrite::IfNewer | Overwrite::Never) {
        return Outcome::Refused;
    }
    let mut made: BTreeMap<PathBuf, (bool, Captured)> =
        old.iter().map(|(p, e)| (p.clone(), (false, e.clone()))).collect();
    let mut closed: Option<PathBuf> = None;
    let mut partial = false;
    for (path, entry) in new {
        if closed.as_ref().is_some_and(|c| path.starts_with(c)) {
            continue;
        }
        let folders = (entry.kind == "folder", old.get(path).is_some_and(|e| e.kind == "folder"));
        let newer = old.get(path).is_some_and(|e| entry.mtime > e.mtime);
        let takes = match (old.get(path), folders) {
            (None, _) => true,
            (Some(_), (true, true)) => strategy != Strategy::Merge && mode != Overwrite::Never,
            (Some(_), (false, false)) => match mode {
                Overwrite::Always | Overwrite::IfChanged => true,
                Overwrite::IfNewer => newer,
                Overwrite::Never => false,
            },
            (Some(_), (_, is_folder)) => {
                let takes = match mode {
                    Overwrite::Always | Overwrite::IfChanged => true,
                    Overwrite::IfNewer => newer && !is_folder,
                    Overwrite::Never => false,
                };
                let is_full = is_folder && old.keys().any(|p| p.parent() == Some(path));
                if takes && is_full && !replace {
                    return Outcome::Refused;
                }
                if takes {
                    made.retain(|p, _| !p.starts_with(path));
                } else {
                    (closed, partial) = (Some(path.clone()), true);
                }
                takes
            }
        };
        if takes {
            made.insert(path.clone(), (true, entry.clone()));
        }
    }
    if replace {
        made.retain(|path, _| new.contains_key(path));
    }
    Outcome::Made(name_links(&mut made), partial)
}

/// The same with what need not be as in the reference left out.
pub(super) fn loosened(tree: &Tree, strategy: Strategy, overwrite: Option<Overwrite>) -> Tree {
    let always = overwrite.unwrap_or(Overwrite::Always) == Overwrite::Always && strategy != Strategy::Merge;
    let mut tree = tree.clone();
    for entry in tree.values_mut().filter(|_| !always) {
        // A file that stays keeps its holes, and its other names.
        entry.first_name = PathBuf::new();
        entry.data.clear();
        // A folder that stays has a new time when something is put into it.
        if entry.kind == "folder" && (strategy == Strategy::Merge || overwrite == Some(Overwrite::Never)) {
            entry.mtime = (0, 0);
        }
    }
    tree
}
