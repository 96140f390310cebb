//! Searches a configuration, all of them, or the mutants: `chronos-model CONFIGURATION|all|mutants [seconds]`.

use std::io::Write;
use std::process::ExitCode;

use chronos_model::{CONFIGURATIONS, Configuration, MUTANTS, configuration, search};

/// Seconds for each search, unless told otherwise.
const SECONDS: u64 = 600;

fn main() -> std::io::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "all".to_owned());
    let seconds = arguments.next().and_then(|s| s.parse().ok()).unwrap_or(SECONDS);
    let mut out = std::io::stdout().lock();
    let chosen: Vec<Configuration> = match what.as_str() {
        "all" => CONFIGURATIONS.to_vec(),
        "mutants" => {
            let mutated =
                |(m, name): &(_, &str)| Some(Configuration { mutant: Some(*m), ..configuration(name)? });
            MUTANTS.iter().filter_map(mutated).collect()
        }
        name => configuration(name).into_iter().collect(),
    };
    if chosen.is_empty() {
        writeln!(out, "there is no configuration {what:?}")?;
        return Ok(ExitCode::FAILURE);
    }
    let mut right = true;
    for model in chosen {
        let outcome = search(&model, seconds);
        let mutant = model.mutant.map(|m| format!(" without {m:?}")).unwrap_or_default();
        let verdict = match &outcome.violation {
            Some((name, actions)) => {
                format!("violated after {} steps: not {name:?}\n  {actions:?}", actions.len())
            }
            None if !outcome.complete => "not finished, nothing found".to_owned(),
            None => format!("complete; not reached: {:?}", outcome.unreached),
        };
        writeln!(
            out,
            "{}{mutant}: {} states, depth {}: {verdict}",
            model.name, outcome.states, outcome.depth
        )?;
        right &= outcome.violation.is_some() == model.mutant.is_some();
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
