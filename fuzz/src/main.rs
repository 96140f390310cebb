//! Keeps the corpora: `seeds` writes what the encoders make, `run TARGET FILE…` runs single inputs, `list` names the targets.

#![expect(clippy::print_stdout, reason = "a tool")]

use std::fs;

use anyhow::{Context, Result, bail};
use chronos_fuzz::{keep_seeds, target, targets};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["list"] => targets().iter().for_each(|target| println!("{}", target.name)),
        ["seeds"] => println!("{} inputs", keep_seeds()?),
        ["run", name, files @ ..] => {
            let target = target(name).with_context(|| format!("there is no target {name}"))?;
            for file in files {
                let decodes = (target.run)(&fs::read(file).with_context(|| (*file).to_owned())?);
                println!("{file}: {}", if decodes { "decodes" } else { "refused" });
            }
        }
        _ => bail!("usage: chronos-fuzz list | seeds | run TARGET FILE..."),
    }
    Ok(())
}
