//! The bytes of tree nodes: variable-length integers, length-prefixed bytes, prefix-compressed paths.
//!
//! [`Dec`] never reads beyond its input, never allocates more than the input holds times one entry, and
//! says what it expected.

use crate::error::{Error, Result};
use crate::path::{PATH_BYTES_MAX, TreePath};
use crate::prefix::shared;

/// Version of the encoding of all nodes; a reader refuses others.
pub(crate) const VERSION: u8 = 1;

/// Most entries in one node, read or written.
pub(crate) const ENTRIES_MAX: usize = 512;

/// What a node is; second byte of its `Meta` chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    /// Entries of the tree.
    Leaf = 0,
    /// First paths of other nodes.
    Inner = 1,
    /// Extents of one large file.
    Extents = 2,
    /// Sizes of other recipe nodes.
    Recipes = 3,
    /// Extents of one large file, some of them in pieces.
    Pieces = 4,
}

/// Makes the error for a node that no honest program wrote.
pub(crate) fn damaged(why: impl Into<String>) -> Error {
    Error::Damaged { what: "a node of the tree".into(), why: why.into() }
}

/// Appends a variable-length integer: 7 bits a byte, lowest first, the top bit set on all but the last.
pub(crate) fn put_int(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer, its sign in the lowest bit.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_int(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Appends bytes after their number.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_int(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a path as what differs from the one before it in the node.
pub(crate) fn put_path(out: &mut Vec<u8>, last: &[u8], path: &[u8]) {
    let shared = shared(last, path);
    put_int(out, shared as u64);
    put_bytes(out, path.get(shared..).unwrap_or_default());
}

/// Reads what the functions above wrote.
#[derive(Debug)]
pub(crate) struct Dec<'a> {
    rest: &'a [u8],
}

impl<'a> Dec<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that are not read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| damaged("it ends too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    /// Version and form at the start of a node.
    pub(crate) fn form(&mut self) -> Result<Form> {
        let version = self.byte()?;
        if version != VERSION {
            return Err(damaged(format!("its version {version} is not known")));
        }
        match self.byte()? {
            0 => Ok(Form::Leaf),
            1 => Ok(Form::Inner),
            2 => Ok(Form::Extents),
            3 => Ok(Form::Recipes),
            4 => Ok(Form::Pieces),
            other => Err(damaged(format!("its form {other} is not known"))),
        }
    }

    pub(crate) fn int(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 || shift > 0 && byte == 0 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged("a number in it is not well formed"))
    }

    /// An integer of at most `max`; `what` names it in the error.
    pub(crate) fn at_most(&mut self, max: u64, what: &str) -> Result<u64> {
        let value = self.int()?;
        if value > max {
            return Err(damaged(format!("{what} is {value}, at most {max} is allowed")));
        }
        Ok(value)
    }

    /// A number of things that follow.
    pub(crate) fn count(&mut self, max: usize, what: &str) -> Result<usize> {
        Ok(self.at_most(max as u64, what)? as usize)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(self.at_most(u64::from(u32::MAX), what)? as u32)
    }

    pub(crate) fn signed(&mut self) -> Result<i64> {
        let value = self.int()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(crate) fn bytes(&mut self, max: usize, what: &str) -> Result<&'a [u8]> {
        let n = self.count(max, what)?;
        let (bytes, rest) =
            self.rest.split_at_checked(n).ok_or_else(|| damaged(format!("{what} ends too early")))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// So many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| damaged("it ends too early"))?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// A path, and checks that it is greater than `last` unless it is the first.
    pub(crate) fn path(&mut self, last: Option<&TreePath>) -> Result<TreePath> {
        let root = TreePath::root();
        let before = last.unwrap_or(&root);
        let shared = self.count(before.as_bytes().len(), "a shared prefix")?;
        let suffix = self.bytes(PATH_BYTES_MAX, "a path")?;
        let path = TreePath::following(before, shared, suffix).map_err(|e| damaged(e.to_string()))?;
        path.ok_or_else(|| damaged(format!("a path is not greater than {before}, the one before it")))
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(damaged("something follows its last entry")) }
    }
}
