//! Content of the figures: random bytes, and rows of text.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;

use crate::corpora::mix;

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    /// Bytes that do not compress.
    Noise,
    /// Rows as in a dump.
    Rows,
}

impl Content {
    /// Writes at least `bytes` of it; what belongs to another `seed` is other content.
    pub(super) fn write(self, out: &mut dyn Write, bytes: u64, seed: u64) -> Result<()> {
        match self {
            Self::Noise => {
                (0..bytes / 8).try_for_each(|at| out.write_all(&mix(at ^ seed << 48).to_le_bytes()))?;
            }
            Self::Rows => {
                let (mut written, mut at) = (0, seed << 48);
                while written < bytes {
                    let (a, b) = (mix(at), mix(!at));
                    let row = format!(
                        "({at}, 'customer {:x}', 'ordered {}', {}.99),\n",
                        a >> 40,
                        b % 3650,
                        a % 1000
                    );
                    out.write_all(row.as_bytes())?;
                    written += row.len() as u64;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// The same as a file.
    pub(super) fn file(self, path: &Path, bytes: u64, seed: u64) -> Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        self.write(&mut out, bytes, seed)?;
        Ok(out.flush()?)
    }
}
