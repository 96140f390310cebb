//! Random runs: operations drawn from a seed, done to a repository and to a reference in memory, and compared after each.
//!
//! `operations` draws them, `model`, `expected` and `trees` are the reference, `world` and `restoring` compare. `library` uses the
//! libraries, `program` the program. `docs/proofs.md` says how to run many seeds.

mod engine;
mod expected;
mod liar;
mod library;
mod model;
mod operations;
mod program;
mod regressions;
mod restoring;
mod rule;
mod shrink;
mod trees;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use engine::Engine;
use liar::{LIES, Liar, Lie};
use library::Library;
use operations::{Step, operations};
use program::Binary;
use regressions::regressions;
use shrink::shrunk;
use world::{Fault, World};

/// Trees that are backed up.
const TREES: usize = 2;
/// Most operations of one seed.
const STEPS_MAX: usize = 60;
/// Seeds that are run every time.
const SEEDS: Range<u64> = 0..40;
/// Seeds that are run every time through the program, and most operations of them.
const PROGRAM_SEEDS: Range<u64> = 0..3;
const PROGRAM_STEPS_MAX: usize = 30;
/// Names the seeds of a long run: `FIRST..END`.
const SEEDS_VARIABLE: &str = "CHRONOS_RANDOM_SEEDS";

/// Does all steps in a new world; the number of the one that failed, and why.
fn run<E: Engine>(make: impl FnOnce(&Path) -> E, steps: &[Step]) -> Result<(), (usize, Fault)> {
    let run = || {
        let mut world = World::new(make);
        for (number, step) in steps.iter().enumerate() {
            world.step(step).map_err(|why| (number, why))?;
        }
        world.finish().map_err(|why| (steps.len(), why))
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err((steps.len(), "it panicked".to_owned())))
}

/// Does all steps in a repository of its own through the libraries.
fn through_libraries(seed: u64, steps: &[Step]) -> Result<(), (usize, Fault)> {
    run(|home| Library::new(home, seed), steps)
}

/// Runs a seed; if it fails, fewest operations that still do.
fn check(seed: u64, most: usize, run: impl Fn(&[Step]) -> Result<(), (usize, Fault)>) -> Result<(), String> {
    let steps = operations(seed, most);
    let Err((at, why)) = run(&steps) else { return Ok(()) };
    let first = why.clone();
    let (fewest, last) = shrunk(&steps, (at, why), run);
    let lines: Vec<String> = fewest.iter().map(|step| format!("    {step:?}")).collect();
    Err(format!(
        "seed {seed}, at operation {at}: {first}\nwith fewest operations: {last}\n{}",
        lines.join("\n")
    ))
}

/// The seeds of a long run, else those that are run every time.
fn seeds(always: Range<u64>) -> Range<u64> {
    let range = std::env::var(SEEDS_VARIABLE).ok();
    match range.as_deref().and_then(|r| r.split_once("..")) {
        Some((first, end)) => first.parse().unwrap()..end.parse().unwrap(),
        None => always,
    }
}

fn check_all(seeds: Range<u64>, one: impl Fn(u64) -> Result<(), String>) {
    let failed: Vec<String> = seeds.filter_map(|seed| one(seed).err()).collect();
    assert!(failed.is_empty(), "{} seeds failed\n{}", failed.len(), failed.join("\n\n"));
}

#[test]
fn random_operations_do_what_the_reference_says() {
    check_all(seeds(SEEDS), |seed| check(seed, STEPS_MAX, |steps| through_libraries(seed, steps)));
}

#[test]
fn random_commands_do_what_the_reference_says() {
    check_all(seeds(PROGRAM_SEEDS), |seed| check(seed, PROGRAM_STEPS_MAX, |steps| run(Binary::new, steps)));
}

#[test]
fn what_once_failed_does_not_any_more() {
    for (what, steps) in regressions() {
        if let Err((at, why)) = through_libraries(0, &steps) {
            panic!("{what}: after {at} operations: {why}");
        }
    }
}

/// Whether any of some seeds shows that an engine lies.
fn is_caught(lie: Lie) -> bool {
    SEEDS.into_iter().any(|seed| {
        let liar = |home: &Path| Liar { library: Library::new(home, seed), lie };
        run(liar, &operations(seed, STEPS_MAX)).is_err()
    })
}

#[test]
fn an_engine_that_does_one_thing_wrong_is_caught() {
    let passed: Vec<Lie> = LIES.into_iter().filter(|lie| !is_caught(*lie)).collect();
    assert!(passed.is_empty(), "nobody noticed: {passed:?}");
}
