//! Hard links: entries of one snapshot with the same device and inode are one file with several names.
//!
//! A tree may lie, so two entries are taken as one file only if everything else about them is equal too.

use std::collections::HashMap;

use crate::node::{Content, Extent, Node};
use crate::restore::options::Overwrite;
use crate::restore::plan::{Action, Plan, Planned, shared_inodes};

/// Hash of what a file consists of.
pub(crate) fn digest(content: &Content) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for extent in &content.extents {
        match extent.mark() {
            Some(mark) => hasher.update(&mark.0),
            None => hasher.update(&[if matches!(extent, Extent::Hole { .. }) { 1 } else { 2 }]),
        };
        hasher.update(&extent.len().to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Marks an entry for being built in a unit that is still to be made.
const NEW_UNIT: Action = Action::Build(usize::MAX);

/// Joins the names of one file; where the target's files are not linked the same way, all are built anew. `root` is the
/// device of the target: names that go to different file systems are different files.
pub(crate) fn group(plan: &mut Plan, mode: Overwrite, root: Option<u64>) {
    let groups = groups(plan, root);
    if mode == Overwrite::IfChanged {
        for members in &groups {
            let linked = |e: &Planned| {
                (!matches!(e.action, Action::Build(_))).then_some(e.found.map(|f| (f.dev, f.inode)))
            };
            let mut states = members.iter().filter_map(|m| plan.entries.get(*m)).map(linked);
            let first = states.next().flatten();
            if first.is_some() && states.all(|s| s == first) {
                continue;
            }
            for member in members {
                rebuild(plan, *member);
            }
        }
    }
    // Attributes belong to the inode: one that has names elsewhere too must not be changed through this one.
    let shared = shared_inodes(&plan.entries);
    for at in 0..plan.entries.len() {
        let Some(entry) = plan.entries.get(at) else { break };
        let elsewhere = |f: &crate::source::Stat| {
            !f.is_dir() && f.links > 1 && shared.get(&(f.dev, f.inode)).is_none_or(|n| *n < f.links)
        };
        if entry.action == Action::Attributes && entry.found.as_ref().is_some_and(elsewhere) {
            rebuild(plan, at);
        }
    }
    for members in &groups {
        let built = |m: &&usize| plan.entries.get(**m).is_some_and(|e| matches!(e.action, Action::Build(_)));
        let mut building: Vec<usize> = members.iter().filter(built).copied().collect();
        if building.len() < 2 {
            continue;
        }
        let first = building.remove(0);
        for member in building {
            if let Some(entry) = plan.entries.get_mut(member) {
                entry.link = Some(first);
            }
        }
    }
}

fn rebuild(plan: &mut Plan, at: usize) {
    if let Some(entry) = plan.entries.get_mut(at)
        && !matches!(entry.action, Action::Build(_))
    {
        entry.action = NEW_UNIT;
    }
}

/// The entries of each file with several names, in the order of their paths.
fn groups(plan: &Plan, root: Option<u64>) -> Vec<Vec<usize>> {
    let entries = &plan.entries;
    let mut by_inode: HashMap<(u64, u64, Option<u64>), Vec<Vec<usize>>> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let Some(node) = &entry.node else { continue };
        if node.links < 2 || node.inode == 0 || node.is_dir() {
            continue;
        }
        let device = device_under(plan, entry).or(root);
        let candidates = by_inode.entry((node.dev, node.inode, device)).or_default();
        let same = |group: &&mut Vec<usize>| {
            let first = group.first().and_then(|f| entries.get(*f));
            first.is_some_and(|f| {
                f.digest == entry.digest && f.node.as_ref().is_some_and(|n| same_file(n, node))
            })
        };
        match candidates.iter_mut().find(same) {
            Some(group) => group.push(at),
            None => candidates.push(vec![at]),
        }
    }
    let mut groups: Vec<_> = by_inode.into_values().flatten().filter(|g| g.len() > 1).collect();
    groups.sort_unstable();
    groups
}

/// The device of the folder that an entry goes into, unless that is the target itself.
fn device_under(plan: &Plan, entry: &Planned) -> Option<u64> {
    std::iter::successors(entry.path.parent(), crate::TreePath::parent)
        .find_map(|folder| plan.entries.get(plan.find(&folder)?)?.found.map(|f| f.dev))
}

/// The time of the last change of the inode may differ: a backup reads one name after the other.
fn same_file(one: &Node, other: &Node) -> bool {
    Node { ctime: other.ctime, ..one.clone() } == *other
}
