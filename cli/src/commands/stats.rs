//! `chronos stats`: how much there is, and what deduplication and compression save.

use std::collections::BTreeMap;

use chronos_snapshot::counted;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, ratio, size};

/// Show sizes: logical, unique and stored bytes, in all and by target
#[derive(Debug, Args)]
pub(crate) struct Stats {}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    snapshots: u64,
    logical_bytes: u64,
    unique_bytes: u64,
    stored_bytes: u64,
    packs: u64,
    chunks: u64,
    dedup_ratio: Option<f64>,
    compression_ratio: Option<f64>,
    targets: Vec<Target>,
}

/// One target.
#[derive(Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "names of the JSON document")]
struct Target {
    target: String,
    snapshots: u64,
    logical_bytes: u64,
    added_bytes: u64,
    latest: Option<String>,
}

impl Stats {
    /// Runs the command.
    pub(crate) fn run(app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let store = catalog.repository.stats()?;
        app.output.finish();
        let mut targets: BTreeMap<&str, Target> = BTreeMap::new();
        for snapshot in &catalog.snapshots {
            let m = &snapshot.manifest;
            let target = targets.entry(&m.target).or_default();
            target.target.clone_from(&m.target);
            target.snapshots += 1;
            target.logical_bytes += m.size_bytes;
            target.added_bytes += m.added_bytes;
            target.latest = target.latest.take().max(Some(m.created_at.clone()));
        }
        let logical: u64 = targets.values().map(|t| t.logical_bytes).sum();
        let share = |whole: u64, part: u64| (part > 0).then(|| whole as f64 / part as f64);
        let mut table = Table::new(&["TARGET", "SNAPSHOTS", "LOGICAL", "ADDED"]).right(&[1, 2, 3]);
        for target in targets.values() {
            table.row([
                target.target.clone(),
                target.snapshots.to_string(),
                size(target.logical_bytes),
                size(target.added_bytes),
            ]);
        }
        let out = &app.output;
        out.line(format!("snapshots     {}", catalog.snapshots.len()))?;
        out.line(format!("logical       {}", size(logical)))?;
        out.line(format!(
            "unique        {} in {} (deduplication {})",
            size(store.unique_bytes),
            counted(store.chunks, "chunk"),
            ratio(logical, store.unique_bytes)
        ))?;
        out.line(format!(
            "stored        {} in {} (compression {})",
            size(store.stored_bytes),
            counted(store.packs, "pack"),
            ratio(store.unique_bytes, store.stored_bytes)
        ))?;
        if !table.is_empty() {
            out.line("")?;
            out.table(&table)?;
        }
        out.document(&Document {
            snapshots: catalog.snapshots.len() as u64,
            logical_bytes: logical,
            unique_bytes: store.unique_bytes,
            stored_bytes: store.stored_bytes,
            packs: store.packs,
            chunks: store.chunks,
            dedup_ratio: share(logical, store.unique_bytes),
            compression_ratio: share(store.unique_bytes, store.stored_bytes),
            targets: targets.into_values().collect(),
        })?;
        Ok(catalog.exit())
    }
}
