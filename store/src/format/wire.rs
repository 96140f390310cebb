//! Reading numbers and runs of bytes from untrusted input: never beyond the end, never a panic.

use crate::error::{Error, Result};

/// A cursor over untrusted bytes.
#[derive(Debug)]
pub(crate) struct Wire<'a> {
    rest: &'a [u8],
    object: &'a str,
}

impl<'a> Wire<'a> {
    /// Reads `bytes` of `object`.
    pub(crate) fn new(object: &'a str, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, object }
    }

    /// The error for this object.
    pub(crate) fn damaged(&self, what: &str) -> Error {
        Error::damaged(self.object, what)
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or_else(|| self.damaged("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) =
            self.rest.split_first_chunk::<N>().ok_or_else(|| self.damaged("it ends too early"))?;
        self.rest = rest;
        Ok(*head)
    }

    /// A `u8`.
    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// A `u16` LE.
    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A `u32` LE.
    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A `u64` LE.
    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of items of at least `size` bytes each, which must fit into what is left.
    pub(crate) fn count(&mut self, size: usize) -> Result<usize> {
        let n = self.u32()? as usize;
        if n.saturating_mul(size) > self.rest.len() {
            Err(self.damaged("a count is too large"))
        } else {
            Ok(n)
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged("it goes on after its end")) }
    }
}
