//! Successive dumps of a real PostgreSQL that works meanwhile: what each adds to the repository.
//!
//! The database is that of pgbench with varied text in its accounts. Beside it restic, if it is found, is given the same archive by
//! `pg_dump`.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use chronos_tests::postgres::Postgres;

use crate::measure::Step;
use crate::tools::{Action, CONFIG, Tool, lay};

/// Accounts of a database of scale 1.
const ACCOUNTS: u64 = 100_000;
/// Of how many accounts one is changed between two dumps.
const CHANGED_OF: u64 = 1000;
/// Transactions a second while a dump is made.
const RATE: &str = "50";
/// The database.
const DATABASE: &str = "bench";

/// Prints a row for each dump and tool.
pub(crate) fn run(tools: &[Tool], scale: u32, scratch: &Path) -> Result<()> {
    let server = Postgres::start();
    server.pgbench(DATABASE, scale);
    let text = "md5(aid::text) || md5((aid + 7)::text) || substr(md5((aid * 3)::text), 1, 20)";
    server.sql(DATABASE, &format!("UPDATE pgbench_accounts SET filler = {text}"));
    server.sql(DATABASE, "VACUUM FULL pgbench_accounts");
    let accounts = u64::from(scale) * ACCOUNTS;
    let size = server.sql(DATABASE, "SELECT pg_database_size(current_database())").parse::<u64>()?;
    let tools: Vec<(&Tool, &'static str)> =
        tools.iter().filter_map(|tool| Some((tool, line(tool)?))).collect();
    for (tool, _) in &tools {
        let place = scratch.join(&tool.name);
        lay(&place.join(CONFIG), &config(&server.superuser(DATABASE)))?;
        lay(&place.join("url"), &server.superuser(DATABASE))?;
        tool.init(&place)?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{accounts} accounts, {:.0} MB of database, {RATE} transactions a second during each dump\n",
        size as f64 / 1e6
    )?;
    writeln!(out, "| dump | tool | accounts changed | stored kB | wall s | CPU s | peak MiB |")?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | ---: | ---: |")?;
    for name in ["first", "0.1 % changed", "0.1 % changed again"] {
        let before = history(&server)?;
        if name != "first" {
            change(&server, accounts / CHANGED_OF)?;
        }
        for (tool, line) in &tools {
            let step = under_load(&server, || {
                tool.step(name, &Action::Line(line), &scratch.join(&tool.name), size)
            })?;
            let Step { wall, cpu, rss_kib, stored, .. } = step;
            let (changed, peak) = (history(&server)? - before, rss_kib as f64 / 1024.0);
            let stored = stored as f64 / 1e3;
            writeln!(
                out,
                "| {name} | {} | {changed} | {stored:.0} | {wall:.2} | {cpu:.2} | {peak:.0} |",
                tool.name
            )?;
            out.flush()?;
        }
    }
    Ok(())
}

/// How a tool backs the database up; the others have no such way.
fn line(tool: &Tool) -> Option<&'static str> {
    match tool.name.as_str() {
        "chronos" => Some("$P -q backup --target db >/dev/null"),
        "restic" => Some(
            "pg_dump --format=custom --compress=0 $(cat $HOME/url) | $P -q backup --stdin --stdin-filename bench.dump",
        ),
        _ => None,
    }
}

fn config(url: &str) -> String {
    format!(
        "[[target]]\nname = \"db\"\n[[target.source]]\nname = \"pg\"\nkind = \"postgres\"\nurl = \"{url}\"\n"
    )
}

/// Transactions until now; each changes an account.
fn history(server: &Postgres) -> Result<u64> {
    Ok(server.sql(DATABASE, "SELECT count(*) FROM pgbench_history").parse()?)
}

/// As many transactions.
fn change(server: &Postgres, transactions: u64) -> Result<()> {
    let each = (transactions / 2).to_string();
    let ended = server.client("pgbench", &["-n", "-c", "2", "-t", &each, DATABASE]).output()?;
    ensure!(ended.status.success(), "pgbench: {}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}

/// Does it while transactions go on.
fn under_load<T>(server: &Postgres, what: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut load = server.client("pgbench", &["-n", "-c", "2", "-R", RATE, "-T", "3600", DATABASE]);
    let mut load = load.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("pgbench")?;
    let done = what();
    load.kill()?;
    load.wait()?;
    done
}
