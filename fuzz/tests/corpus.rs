//! Every target over its kept corpus and seeded mutations of it, with its memory counted.
//!
//! `CHRONOS_FUZZ_MUTATIONS` sets how many mutations each target gets; `CHRONOS_FUZZ_SEED` makes them others.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::time::{Duration, Instant};

use chronos_fuzz::{Mutator, Target, corpus, folder, targets};
use peak_alloc::PeakAlloc;

/// Counts what the whole process holds; so all targets run in one test, one after the other.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Mutations of each target, unless the environment says otherwise.
const MUTATIONS: usize = 3000;
/// A target whose inputs are slow gets fewer mutations than that.
const TIME_MAX: Duration = Duration::from_millis(1500);
/// All corpora together stay small enough to be kept.
const CORPUS_BYTES_MAX: u64 = 2 << 20;

fn number<T: FromStr>(variable: &str, default: T) -> T {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs a target on one input; whether it decoded. What goes wrong is returned with the input.
fn run(target: &Target, input: &[u8]) -> Result<bool, String> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let used = MEMORY.peak_usage().saturating_sub(before);
    let allowed = target.bytes_fixed + target.bytes_per_byte * input.len();
    let shown = || format!("{}: on {:?}", target.name, input.escape_ascii().to_string());
    match outcome {
        Err(_) => Err(format!("{} it panicked", shown())),
        Ok(_) if used > allowed => Err(format!("{} it held {used} bytes, {allowed} are allowed", shown())),
        Ok(decoded) => Ok(decoded),
    }
}

/// What became of the inputs of a target.
#[derive(Default)]
struct Tally {
    decoded: usize,
    refused: usize,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, outcome: Result<bool, String>) {
        match outcome {
            Ok(true) => self.decoded += 1,
            Ok(false) => self.refused += 1,
            Err(why) => self.failures.push(why),
        }
    }
}

#[test]
fn every_decoder_withstands_its_corpus_and_mutations_of_it() {
    let (mutations, seed) = (number("CHRONOS_FUZZ_MUTATIONS", MUTATIONS), number("CHRONOS_FUZZ_SEED", 0_u64));
    let mut failures = Vec::new();
    for target in targets() {
        let inputs = corpus(&target).unwrap();
        let (mut kept, mut mutated) = (Tally::default(), Tally::default());
        // What is made once and kept for all is no part of what one input costs.
        (target.run)(&[]);
        inputs.iter().for_each(|input| drop(catch_unwind(|| (target.run)(input))));
        inputs.iter().for_each(|input| kept.add(run(&target, input)));
        let seeds = (target.seeds)();
        let all_decode = seeds.iter().filter(|s| run(&target, s) == Ok(true)).count();
        let (mut mutator, began) = (Mutator::new(seed, target.name), Instant::now());
        for n in 0..mutations {
            if mutations == MUTATIONS && began.elapsed() > TIME_MAX {
                break;
            }
            let pick = |n: usize| inputs.get(n % inputs.len()).unwrap();
            mutated.add(run(&target, &mutator.mutate(pick(n), pick(n / inputs.len()))));
        }
        println!(
            "{:16} kept: {} decode, {} do not; mutated: {} decode, {} do not; {:?}",
            target.name,
            kept.decoded,
            kept.refused,
            mutated.decoded,
            mutated.refused,
            began.elapsed(),
        );
        failures.extend(kept.failures.into_iter().chain(mutated.failures).take(3));
        if all_decode * 2 < seeds.len() || kept.decoded == 0 {
            failures.push(format!("{}: only {all_decode} of {} seeds decode", target.name, seeds.len()));
        }
        if kept.refused == 0 {
            failures.push(format!("{}: no input of the corpus is refused", target.name));
        }
        if mutations > 0 && (mutated.refused == 0 || mutated.decoded + mutated.refused < 20) {
            failures.push(format!("{}: mutations do not reach it", target.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn the_corpora_are_small_and_of_targets_only() {
    let mut bytes = 0;
    let mut names: Vec<_> = targets().iter().map(|t| t.name.to_owned()).collect();
    for target in targets() {
        for entry in folder(&target).read_dir().unwrap() {
            bytes += entry.unwrap().metadata().unwrap().len();
        }
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes");
    let root = folder(targets().first().unwrap()).parent().unwrap().to_owned();
    let mut found: Vec<_> =
        root.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, names, "one folder for each target");
}
