//! Any tree comes back: grown, backed up, changed, backed up again, and each of the two restored elsewhere and in place.

pub(crate) mod deeds;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chronos_tests::Program;
use chronos_tests::compare::{Captured, between, capture};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

use deeds::{Deed, any_deed};

/// Each case runs the program six times.
const CASES: u32 = 24;
/// Seeds of cases that once failed; they are tried first.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/system/random_trees/regressions.txt");

type Tree = BTreeMap<PathBuf, Captured>;

/// Backs the tree up and tells the snapshot's name.
fn backed_up(program: &Program, tree: &Path) -> String {
    let report = program.run([Path::new("backup"), Path::new("--json"), tree]).expect_code(0).json();
    assert_eq!(report["errors"], serde_json::json!([]));
    report["backup_id"].as_str().unwrap().to_owned()
}

fn assert_restored(program: &Program, tree: &Path, name: &str, wanted: &Tree) -> Result<(), TestCaseError> {
    let out = program.home().join(format!("out-{name}"));
    let part = format!("{name}:{}", tree.display());
    program.run([Path::new("restore"), Path::new(&part), Path::new("--to"), &out]).expect_code(0);
    let found = between(wanted, &capture(&out));
    prop_assert!(found.is_empty(), "{name} elsewhere: {found:#?}");
    Ok(())
}

fn round_trip(first: &[Deed], second: &[Deed]) -> Result<(), TestCaseError> {
    let program = Program::with_repository();
    let tree = program.home().canonicalize().unwrap().join("tree");
    fs::create_dir(&tree).unwrap();
    first.iter().for_each(|deed| deed.apply(&tree));
    let before = capture(&tree);
    let one = backed_up(&program, &tree);
    second.iter().for_each(|deed| deed.apply(&tree));
    let after = capture(&tree);
    let two = backed_up(&program, &tree);
    assert_restored(&program, &tree, &one, &before)?;
    assert_restored(&program, &tree, &two, &after)?;
    // In place, over what came later.
    let part = format!("{one}:{}", tree.display());
    program.run(["restore", &part, "--strategy", "replace", "--no-restore-point"]).expect_code(0);
    let found = between(&before, &capture(&tree));
    prop_assert!(found.is_empty(), "{one} in place: {found:#?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        max_shrink_iters: 200,
        rng_seed: RngSeed::Fixed(0x6368_726f_6e6f_7301),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_tree_comes_back(first in vec(any_deed(), 1..60), second in vec(any_deed(), 0..25)) {
        round_trip(&first, &second)?;
    }
}
