//! Where gear chunking cuts: one rule, found by `fastcdc`'s portable code or by a kernel for AVX-512.
//!
//! Below `store`, whose chunker owns the secret table and the lengths. Both ways find the same cut for every input: the
//! portable one is the reference, and the tests compare the kernel with it.

#[cfg(target_arch = "x86_64")]
mod vbmi;

use std::fmt;

use fastcdc::v2020::cut_gear;

/// A keyed value for each byte.
pub type Table = [u64; 256];

/// The lengths of chunks in bytes, all even and in rising order, and how rare a cut is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// No chunk is shorter, unless the data ends.
    pub min: usize,
    /// Where cutting becomes easier.
    pub avg: usize,
    /// No chunk is longer.
    pub max: usize,
    /// How many bits of the hash are zero at a cut before the average length; at most 32.
    pub hard_bits: u32,
    /// The same after it.
    pub easy_bits: u32,
}

/// Ones that end at bit 31. A byte leaves the low 32 bits after 32 others, so the window is 32 bytes.
fn mask(bits: u32) -> u32 {
    let bits = bits.min(32);
    (((1_u64 << bits) - 1) << (32 - bits)) as u32
}

/// A table laid out for every way of finding cuts.
pub struct Gear {
    table: Table,
    /// Each value of `table` one bit to the left: `cut_gear` takes two bytes at a time.
    shifted: Table,
    #[cfg(target_arch = "x86_64")]
    kernel: Option<vbmi::Kernel>,
}

impl fmt::Debug for Gear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gear(vectors: {})", self.has_vectors())
    }
}

impl Gear {
    /// With the fastest way that this processor has.
    pub fn new(table: &Table) -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            kernel: vbmi::Kernel::new(table),
            ..Self::portable(table)
        }
    }

    /// With the portable way: what the other is compared with.
    pub fn portable(table: &Table) -> Self {
        Self {
            table: *table,
            shifted: table.map(|value| value << 1),
            #[cfg(target_arch = "x86_64")]
            kernel: None,
        }
    }

    /// The values as they were given.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Whether cuts are found by the kernel.
    pub fn has_vectors(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.kernel.is_some();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Length of the first chunk of `bytes`: the rule is that of [`cut_gear`] with masks of so many ones that end at bit 31.
    pub fn cut(&self, bytes: &[u8], rule: &Rule) -> usize {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = &self.kernel {
            return kernel.cut(bytes, rule);
        }
        let (hard, easy) = (u64::from(mask(rule.hard_bits)), u64::from(mask(rule.easy_bits)));
        let Rule { min, avg, max, .. } = *rule;
        let (twice_hard, twice_easy) = (hard << 1, easy << 1);
        let (table, shifted) = (&self.table, &self.shifted);
        cut_gear(bytes, min, avg, max, hard, easy, twice_hard, twice_easy, table, shifted).1
    }
}
