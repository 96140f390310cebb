//! What can be done to a repository and to what it backs up, drawn from a seed. Nothing here names a snapshot: an operation picks
//! one by a number, so that a list stays meaningful when operations are dropped from it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{Strategy as Generator, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::TREES;
use crate::random_trees::deeds::{Deed, any_deed};

/// Programs with folders of their own that use the repository.
pub(super) const CLIENTS: usize = 3;
/// Names that filters choose by; the deeds make entries of these names.
const NAMES: [&str; 4] = ["a", "b", "a-b", "a.b"];

/// One operation of one client.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) client: usize,
    /// It is stopped in the middle.
    pub(super) stop: Option<Stop>,
    pub(super) operation: Operation,
}

/// How an operation is stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// At this call of the backend; later in the time of a program.
    pub(super) call: u64,
    /// The call is still done.
    pub(super) done: bool,
    /// What was not synced is lost, except where a bit of this stands.
    pub(super) power: Option<u64>,
}

/// A snapshot, by its number.
pub(super) type Pick = usize;

/// One operation.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Change { tree: usize, deeds: Vec<Deed> },
    Backup(Backup),
    Restore { of: Pick, how: How },
    Forget(Pick),
    Undelete(Pick),
    Hold(Pick),
    Release(Pick),
    Tag(Pick, Vec<String>),
    ForgetByRule { last: u32, target: Option<usize>, dry_run: bool },
    Prune(Prune),
    Check { read_data: bool },
    Repair { what: Repair, dry_run: bool },
    Rewrite { of: Pick, exclude: String, dry_run: bool },
    AddKey,
    RemoveKey(usize),
    LoseCache,
    KeepCache,
    OldCache,
    Wait { hours: u64 },
}

/// A backup.
#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// Which target; decides which trees.
    pub(super) target: usize,
    pub(super) parent: Parent,
    pub(super) kind: Kind,
    pub(super) read_all: bool,
    pub(super) threads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    Newest,
    None,
    Given(Pick),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Always,
    IfChanged,
    DryRun,
}

/// What is restored, and over what.
#[derive(Clone, Debug)]
pub(super) enum How {
    /// Everything, to a new place.
    Whole { dry_run: bool },
    /// One entry, to a new place.
    Part { tree: usize, spot: usize },
    /// What has a name, or all else, to a new place.
    Filtered { tree: usize, name: String, only: bool },
    /// Over another snapshot's tree.
    Over { tree: usize, other: Pick, strategy: Strategy, overwrite: Option<Overwrite> },
    /// Over what is there now.
    InPlace { strategy: Strategy, overwrite: Option<Overwrite> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    Overwrite,
    Replace,
    Merge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overwrite {
    Always,
    IfChanged,
    IfNewer,
    Never,
}

/// A prune.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prune {
    pub(super) dry_run: bool,
    pub(super) keep_hours: u64,
    pub(super) repack_bytes_max: Option<u64>,
    pub(super) dead_percent_max: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    Index,
    Packs,
    Snapshots,
}

/// The operations of a seed.
pub(super) fn operations(seed: u64, most: usize) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let list = (vec(any_deed(), 5..30), any_backup(), vec(any_step(), most / 2..most));
    let (deeds, first, mut steps) = list.new_tree(&mut runner).unwrap().current();
    let plain = |operation| Step { client: 0, stop: None, operation };
    let first = Backup { kind: Kind::Always, ..first };
    let grow = |tree| plain(Operation::Change { tree, deeds: deeds.clone() });
    steps.splice(0..0, (0..TREES).map(grow).chain([plain(Operation::Backup(first))]));
    steps
}

fn any_step() -> impl Generator<Value = Step> {
    let stop = (0..90_u64, any::<bool>(), proptest::option::of(any::<u64>()))
        .prop_map(|(call, done, power)| Stop { call, done, power });
    (0..CLIENTS, proptest::option::weighted(0.15, stop), any_operation())
        .prop_map(|(client, stop, operation)| Step { client, stop, operation })
}

fn any_operation() -> impl Generator<Value = Operation> {
    let tags = vec(select(vec!["x".to_owned(), "y".to_owned(), "\u{fc}".to_owned()]), 0..3);
    // Two at most: a tag is there once.
    let tags = tags.prop_map(|mut tags| {
        tags.dedup();
        tags
    });
    let of = any::<usize>;
    prop_oneof![
        10 => (0..TREES, vec(any_deed(), 1..8)).prop_map(|(tree, deeds)| Operation::Change { tree, deeds }),
        12 => any_backup().prop_map(Operation::Backup),
        8 => (of(), any_way()).prop_map(|(of, how)| Operation::Restore { of, how }),
        5 => of().prop_map(Operation::Forget),
        3 => of().prop_map(Operation::Undelete),
        2 => of().prop_map(Operation::Hold),
        2 => of().prop_map(Operation::Release),
        1 => (of(), tags).prop_map(|(of, tags)| Operation::Tag(of, tags)),
        2 => (1..4_u32, proptest::option::of(0..3_usize), any::<bool>())
            .prop_map(|(last, target, dry_run)| Operation::ForgetByRule { last, target, dry_run }),
        7 => any_prune().prop_map(Operation::Prune),
        3 => any::<bool>().prop_map(|read_data| Operation::Check { read_data }),
        2 => (select(vec![Repair::Index, Repair::Packs, Repair::Snapshots]), any::<bool>())
            .prop_map(|(what, dry_run)| Operation::Repair { what, dry_run }),
        2 => (of(), any_name(), any::<bool>())
            .prop_map(|(of, exclude, dry_run)| Operation::Rewrite { of, exclude, dry_run }),
        1 => Just(Operation::AddKey),
        1 => any::<usize>().prop_map(Operation::RemoveKey),
        2 => Just(Operation::LoseCache),
        1 => Just(Operation::KeepCache),
        1 => Just(Operation::OldCache),
        2 => (1..24_u64).prop_map(|hours| Operation::Wait { hours }),
    ]
}

fn any_name() -> impl Generator<Value = String> {
    select(&NAMES[..]).prop_map(str::to_owned)
}

fn any_backup() -> impl Generator<Value = Backup> {
    let parent = prop_oneof![
        6 => Just(Parent::Newest),
        1 => Just(Parent::None),
        2 => any::<usize>().prop_map(Parent::Given),
    ];
    let kind = prop_oneof![6 => Just(Kind::Always), 2 => Just(Kind::IfChanged), 1 => Just(Kind::DryRun)];
    (0..3_usize, parent, kind, proptest::bool::weighted(0.1), 1..4_usize).prop_map(
        |(target, parent, kind, read_all, threads)| Backup { target, parent, kind, read_all, threads },
    )
}

fn any_prune() -> impl Generator<Value = Prune> {
    let hours = prop_oneof![3 => Just(0_u64), 2 => 1..30_u64];
    let most = prop_oneof![3 => Just(None), 1 => (0..2_000_000_u64).prop_map(Some)];
    (proptest::bool::weighted(0.15), hours, most, select(vec![0_u8, 5, 40, 90])).prop_map(
        |(dry_run, keep_hours, repack_bytes_max, dead_percent_max)| Prune {
            dry_run,
            keep_hours,
            repack_bytes_max,
            dead_percent_max,
        },
    )
}

fn any_way() -> impl Generator<Value = How> {
    let strategy = || select(vec![Strategy::Overwrite, Strategy::Replace, Strategy::Merge]);
    let modes = vec![Overwrite::Always, Overwrite::IfChanged, Overwrite::IfNewer, Overwrite::Never];
    let overwrite = || proptest::option::of(select(modes.clone()));
    prop_oneof![
        3 => proptest::bool::weighted(0.2).prop_map(|dry_run| How::Whole { dry_run }),
        2 => (0..TREES, any::<usize>()).prop_map(|(tree, spot)| How::Part { tree, spot }),
        2 => (0..TREES, any_name(), any::<bool>())
            .prop_map(|(tree, name, only)| How::Filtered { tree, name, only }),
        4 => (0..TREES, any::<usize>(), strategy(), overwrite())
            .prop_map(|(tree, other, strategy, overwrite)| How::Over { tree, other, strategy, overwrite }),
        2 => (strategy(), overwrite()).prop_map(|(strategy, overwrite)| How::InPlace { strategy, overwrite }),
    ]
}
