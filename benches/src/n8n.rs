//! Backups of a real n8n with very many workflows: time, peak memory, and requests by a relay that counts them.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use chronos_tests::{HttpServer, N8n};
use serde_json::{Value, json};

use crate::measure::Step;
use crate::tools::{Action, CONFIG, Tool, lay};

/// The newest version that the tests know.
const VERSION: &str = "2.40.7";
/// Workflows of a page of the listing.
const PAGE: usize = 250;

/// Prints a row for each size: a first backup, one of the untouched server, and one through the relay.
pub(crate) fn run(chronos: &Tool, sizes: &[usize], scratch: &Path) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "| workflows | step | wall s | CPU s | peak MiB | stored kB | requests | N + 2 × pages |")?;
    writeln!(out, "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for &size in sizes {
        let server = chronos_tests::n8n(VERSION);
        fill(&server, size)?;
        let place = scratch.join(format!("n8n-{size}"));
        let config = place.join(CONFIG);
        lay(&place.join("n8n-key"), &server.key)?;
        chronos.init(&place)?;
        let relay = HttpServer::pass_on(&server.url(), |_| {});
        for (name, url) in
            [("first", server.url()), ("untouched", server.url()), ("through a relay", relay.url())]
        {
            let key = place.join("n8n-key");
            let text = format!(
                "[[target]]\nname = \"prod\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"{url}\"\napi_key = {{ file = \"{}\" }}\n",
                key.display()
            );
            lay(&config, &text)?;
            let action = Action::Line("$P -q backup --target prod >/dev/null");
            let Step { wall, cpu, rss_kib, stored, .. } = chronos.step(name, &action, &place, size as u64)?;
            let requests = relay.requests().len();
            let requests = if requests == 0 { String::new() } else { requests.to_string() };
            writeln!(
                out,
                "| {size} | {name} | {wall:.2} | {cpu:.2} | {:.0} | {:+.1} | {requests} | {} |",
                rss_kib as f64 / 1024.0,
                stored as f64 / 1e3,
                size + 2 * size.div_ceil(PAGE)
            )?;
            out.flush()?;
        }
        server.wipe();
        std::fs::remove_dir_all(&place)?;
    }
    Ok(())
}

/// A workflow of eight nodes, and copies of it.
fn fill(server: &N8n, size: usize) -> Result<()> {
    let nodes: Vec<_> = (0..8)
        .map(|number| {
            let code = format!("return items.map(i => ({{json: {{...i.json, step: {number}}}}}));\n").repeat(4);
            json!({
                "id": format!("00000000-0000-4000-8000-{number:012}"), "name": format!("Code {number}"), "type": "n8n-nodes-base.code",
                "typeVersion": 2, "position": [200 * number, 0], "parameters": {"jsCode": code},
            })
        })
        .collect();
    let first =
        json!({"name": "Workflow", "nodes": nodes, "connections": {}, "settings": {"executionOrder": "v1"}});
    let made = server.call("POST", "workflows", Some(&first));
    let id = made.get("id").and_then(Value::as_str).context("a workflow without an id")?;
    let copies: Vec<String> = (1..size).map(|number| format!("copy{number:012}")).collect();
    server.multiply(id, &copies);
    Ok(())
}
