//! Verifying one snapshot: every chunk below its roots is there, or is read and right.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Finding, VerifyReport, add};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, ChunkKind};
use crate::monitor::check_cancelled;
use crate::reader::{FETCH_MAX, Reader, Wanted};
use crate::repository::Repository;
use crate::view::{Verdict, View};

/// Chunks asked for at once; bounds the memory of the plan.
const WINDOW: usize = FETCH_MAX / 4;

impl Repository {
    /// Checks everything below `roots`: presence only (`quick`), or every byte.
    pub fn verify(&self, view: &Arc<View>, roots: &[ChunkId], quick: bool) -> Result<VerifyReport> {
        self.inner.monitor.phase("verify");
        let report = VerifyReport { verdict: Verdict::Verified, chunks: 0, bytes: 0, errors: Vec::new() };
        let mut verification = Verification {
            view,
            reader: view.reader(),
            quick,
            seen: HashSet::new(),
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
    seen: HashSet<ChunkId>,
    waiting: Vec<Wanted>,
    report: VerifyReport,
}

impl Verification<'_> {
    fn walk(&mut self, root: ChunkId) -> Result<()> {
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            check_cancelled(self.view.inner.monitor.as_ref())?;
            if !self.seen.insert(id) {
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
            if let Some(meta) = list.meta.filter(|m| self.seen.insert(*m)) {
                match self.reader.read(ChunkKind::Meta, &meta) {
                    Err(e) if e.kind() == ErrorKind::Damaged => self.fail(&e),
                    outcome => {
                        self.report.bytes += outcome?.len() as u64;
                        self.report.chunks += 1;
                    }
                }
            }
            for id in list.data {
                if self.seen.insert(id) {
                    self.data(id)?;
                }
            }
            open.extend(list.children);
        }
        Ok(())
    }

    fn data(&mut self, id: ChunkId) -> Result<()> {
        if self.quick {
            self.report.chunks += 1;
            if !self.view.holds(ChunkKind::Data, &id)? {
                self.fail(&Error::missing(format!("chunk {id}")));
            }
            return Ok(());
        }
        self.waiting.push(Wanted { id, token: 0 });
        if self.waiting.len() >= WINDOW { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let (chunks, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let monitor = &self.view.inner.monitor;
        let failed = self.reader.fetch(&self.waiting, threads, &|_, part| {
            chunks.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
            monitor.advance(1, part.len() as u64);
            Ok(())
        })?;
        self.waiting.clear();
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
