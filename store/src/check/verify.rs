//! Verifying one snapshot: every chunk below its roots is there, or is read and right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Finding, VerifyReport, add};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, ChunkKind};
use crate::monitor::check_cancelled;
use crate::reader::{FETCH_MAX, Reader, Wanted};
use crate::repository::Repository;
use crate::view::{Verdict, View};
use crate::visited::ChunkSet;

/// Chunks asked for at once; bounds the memory of the plan.
const WINDOW: usize = FETCH_MAX / 4;

impl Repository {
    /// Checks everything below `roots`: presence only (`quick`), or every byte. It proves what is stored if the view is of
    /// [`Repository::as_stored`].
    pub fn verify(&self, view: &Arc<View>, roots: &[ChunkId], quick: bool) -> Result<VerifyReport> {
        self.inner.monitor.phase("verify");
        let report = VerifyReport { verdict: Verdict::Verified, chunks: 0, bytes: 0, errors: Vec::new() };
        let mut verification = Verification {
            view,
            reader: view.reader(),
            quick,
            seen: ChunkSet::new(view.places()?),
            waiting: Vec::new(),
            report,
        };
        for root in roots {
            verification.walk(*root)?;
        }
        verification.flush()?;
        Ok(verification.report)
    }
}

struct Verification<'v> {
    view: &'v Arc<View>,
    reader: Reader,
    quick: bool,
    seen: ChunkSet<'v>,
    /// Data chunks that are still to be looked at, some perhaps again.
    waiting: Vec<ChunkId>,
    report: VerifyReport,
}

impl Verification<'_> {
    fn walk(&mut self, root: ChunkId) -> Result<()> {
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            check_cancelled(self.view.inner.monitor.as_ref())?;
            if !self.seen.insert(&id)? {
                continue;
            }
            let list = match self.reader.refs(&id) {
                Err(e) if e.kind() == ErrorKind::Damaged => {
                    self.fail(&e);
                    continue;
                }
                list => list?,
            };
            self.report.chunks += 1;
            if let Some(meta) = list.meta
                && self.seen.insert(&meta)?
            {
                match self.reader.read(ChunkKind::Meta, &meta) {
                    Err(e) if e.kind() == ErrorKind::Damaged => self.fail(&e),
                    outcome => {
                        self.report.bytes += outcome?.len() as u64;
                        self.report.chunks += 1;
                    }
                }
            }
            self.waiting.extend(list.data);
            if self.waiting.len() >= WINDOW {
                self.flush()?;
            }
            open.extend(list.children);
        }
        Ok(())
    }

    /// Looks at what waits, in the order of ids: so each block of the index is opened once.
    fn flush(&mut self) -> Result<()> {
        let mut ids = std::mem::take(&mut self.waiting);
        ids.sort_unstable();
        ids.dedup();
        let mut wanted = Vec::new();
        for id in ids {
            if !self.seen.insert(&id)? {
                continue;
            }
            if !self.quick {
                wanted.push(Wanted { id, token: 0, part: None });
                continue;
            }
            self.report.chunks += 1;
            if !self.view.holds(ChunkKind::Data, &id)? {
                self.fail(&Error::missing(format!("chunk {id}")));
            }
        }
        wanted.chunks(FETCH_MAX).try_for_each(|some| self.read(some))
    }

    fn read(&mut self, wanted: &[Wanted]) -> Result<()> {
        let (chunks, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let (threads, monitor) = (self.view.inner.env.cores(), &self.view.inner.monitor);
        let failed = self.reader.fetch(wanted, threads, &|_, part| {
            chunks.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
            monitor.advance(1, part.len() as u64);
            Ok(())
        })?;
        self.report.chunks += chunks.into_inner();
        self.report.bytes += bytes.into_inner();
        for (_, error) in failed {
            self.fail(&error);
        }
        Ok(())
    }

    fn fail(&mut self, error: &Error) {
        let verdict =
            if matches!(error, Error::Missing { .. }) { Verdict::Missing } else { Verdict::Corrupted };
        if self.report.verdict != Verdict::Corrupted {
            self.report.verdict = verdict;
        }
        add(&mut self.report.errors, Finding::of(error));
    }
}
