//! Copies what is needed out of half-empty packs: an ordinary session that decides itself `closed` before its sources are condemned.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::PruneReport;
use super::mark::{LivePlaces, Marked};
use crate::error::Result;
use crate::format::TocChunk;
use crate::id::{ChunkId, ChunkKind, PackName};
use crate::monitor::check_cancelled;
use crate::packs::{PackToc, chunks_of};
use crate::session::{ChunkWriter, Session, SessionOptions};
use crate::view::View;

/// zstd level of frames written anew.
const LEVEL: i32 = 3;

/// Copies the live chunks of `packs` into new packs; a frame moves as it is if at most `frame_dead_share_max` of it is dead.
pub(crate) fn repack(
    view: &Arc<View>,
    marked: &Marked,
    packs: &BTreeSet<PackName>,
    frame_dead_share_max: f64,
    report: &mut PruneReport,
) -> Result<()> {
    if packs.is_empty() {
        return Ok(());
    }
    let inner = &view.inner;
    inner.monitor.phase("repack");
    let session = Session::begin(inner, SessionOptions { client: "prune".into(), level: LEVEL })?;
    let outcome = copy_all(view, marked, packs, &session, frame_dead_share_max);
    let stats = session.close()?;
    outcome?;
    report.packs_repacked += packs.len() as u64;
    report.bytes_repacked += stats.bytes_stored;
    Ok(())
}

fn copy_all(
    view: &Arc<View>,
    marked: &Marked,
    packs: &BTreeSet<PackName>,
    session: &Session,
    dead_max: f64,
) -> Result<()> {
    let index = view.index()?;
    let live = marked.places(view, packs)?;
    let mut writers = Writers {
        data: session.writer(ChunkKind::Data),
        refs: session.writer(ChunkKind::Refs),
        meta: session.writer(ChunkKind::Meta),
        dead_max,
    };
    for (number, pack) in (0_u32..).zip(index.packs()).filter(|(_, p)| packs.contains(&p.name)) {
        check_cancelled(view.inner.monitor.as_ref())?;
        let toc = view.inner.packs.toc(&pack.name, Some(pack.size))?;
        copy_pack(view, &live, number, &toc, session, &mut writers)?;
        view.inner.monitor.advance(1, pack.size);
    }
    writers.data.finish()?;
    writers.refs.finish()?;
    writers.meta.finish()
}

struct Writers<'s> {
    data: ChunkWriter<'s>,
    refs: ChunkWriter<'s>,
    meta: ChunkWriter<'s>,
    /// A frame with at most this share of dead bytes moves as it is.
    dead_max: f64,
}

impl<'s> Writers<'s> {
    fn of(&mut self, kind: ChunkKind) -> &mut ChunkWriter<'s> {
        match kind {
            ChunkKind::Data => &mut self.data,
            ChunkKind::Refs => &mut self.refs,
            ChunkKind::Meta => &mut self.meta,
        }
    }
}

fn copy_pack(
    view: &Arc<View>,
    live: &LivePlaces,
    number: u32,
    toc: &PackToc,
    session: &Session,
    writers: &mut Writers<'_>,
) -> Result<()> {
    for (at, frame, chunks) in toc.toc.iter() {
        let here = |(_, index): &(&TocChunk, u16)| live.contains(number, at, *index);
        let live: Vec<&TocChunk> = chunks.iter().zip(0..).filter(here).map(|(chunk, _)| chunk).collect();
        let bytes: u64 = live.iter().map(|c| u64::from(c.length)).sum();
        if bytes == 0 {
            continue;
        }
        let (sealed, plain) = view.inner.packs.sealed_frame(toc, frame)?;
        if (u64::from(frame.raw) - bytes) as f64 <= writers.dead_max * f64::from(frame.raw) {
            session.move_frame(toc, frame, chunks, sealed)?;
            continue;
        }
        let wanted: BTreeSet<ChunkId> = live.iter().map(|c| c.id).collect();
        for (id, bytes) in chunks_of(&plain, chunks).filter(|(id, _)| wanted.contains(id)) {
            writers.of(frame.kind).copy(&toc.object, id, bytes)?;
        }
    }
    Ok(())
}
