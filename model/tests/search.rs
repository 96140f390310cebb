//! The small configurations are safe in every state, and every broken rule is caught.

use chronos_model::{CONFIGURATIONS, Configuration, MUTANTS, SMALL, configuration, search};

/// Seconds for one search; each takes a few.
const SECONDS: u64 = 120;

#[test]
fn no_small_configuration_loses_anything() {
    for model in CONFIGURATIONS.iter().take(SMALL) {
        let outcome = search(model, SECONDS);
        assert!(outcome.complete && outcome.unreached.is_empty(), "{}: {outcome:?}", model.name);
    }
}

#[test]
fn every_mutant_is_caught() {
    for (mutant, name) in MUTANTS {
        let model = configuration(name).map(|c| Configuration { mutant: Some(*mutant), ..c });
        let outcome = model.map(|model| search(&model, SECONDS));
        let caught = outcome.as_ref().is_some_and(|o| o.violation.is_some());
        assert!(caught, "{mutant:?} in {name}: {outcome:?}");
    }
}
