//! Lists of operations that once failed, as the shrinking left them: unlike a seed they mean the same for ever.

use super::operations::{Backup, Kind, Operation, Parent, Repair, Step, Stop};
use crate::random_trees::deeds::{Bytes, Deed};

/// What failed, and the operations.
pub(super) fn regressions() -> Vec<(&'static str, Vec<Step>)> {
    let rewrite = |dry_run| Operation::Rewrite { of: 0, exclude: "a".to_owned(), dry_run };
    vec![
        (
            "a deleted snapshot was rewritten, and then refused",
            vec![
                put(0),
                back_up(0),
                plain(2, Operation::Forget(0)),
                plain(2, rewrite(true)),
                plain(2, rewrite(false)),
            ],
        ),
        ("storage that did not answer was taken for damage by a repair", stopped_repairs()),
    ]
}

/// Repairs that are stopped at each of the first calls.
fn stopped_repairs() -> Vec<Step> {
    let repair = |dry_run| Operation::Repair { what: Repair::Snapshots, dry_run };
    let stopped = |call| Step {
        stop: Some(Stop { call, done: false, power: None }),
        ..plain(1, repair(call % 2 == 0))
    };
    [put(0), put(1), back_up(2)].into_iter().chain((0..24).map(stopped)).collect()
}

fn plain(client: usize, operation: Operation) -> Step {
    Step { client, stop: None, operation }
}

fn put(tree: usize) -> Step {
    let deeds =
        vec![Deed::File("a".into(), Bytes::Noise(5, 100_000)), Deed::File("b/c".into(), Bytes::Rows(900))];
    plain(0, Operation::Change { tree, deeds })
}

fn back_up(target: usize) -> Step {
    let backup = Backup { target, parent: Parent::Newest, kind: Kind::Always, read_all: false, threads: 2 };
    plain(0, Operation::Backup(backup))
}
