//! Paths inside a snapshot: bytes, relative, components joined by `/`.

use std::cmp::Ordering;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::prefix::shared;
pub use crate::shown::printable;
use crate::shown::unescaped;

/// Longest path in bytes; a reader refuses longer ones.
pub const PATH_BYTES_MAX: usize = 1 << 16;

/// A path inside a snapshot. The root is the empty path.
///
/// No component is empty, `.` or `..`, none holds a NUL or `/`. Ordered component by component, so
/// that everything below a folder is one range that directly follows it.
#[derive(PartialEq, Eq, Hash, Default)]
pub struct TreePath(Vec<u8>);

impl Clone for TreePath {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }

    /// Keeps the memory of what was there.
    fn clone_from(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }
}

impl TreePath {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Checks and takes over bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        check(&bytes)?;
        Ok(Self(bytes))
    }

    /// The path that begins with `shared` bytes of `before` and ends with `suffix`; `None` if it is not greater than `before`.
    ///
    /// What both have in common is neither checked nor compared again.
    pub(crate) fn following(before: &Self, shared: usize, suffix: &[u8]) -> Result<Option<Self>> {
        let (head, rest) = before.0.split_at_checked(shared).unwrap_or((&before.0, &[]));
        let whole = head.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
        let mut bytes = Vec::with_capacity(head.len() + suffix.len());
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(suffix);
        check_length(&bytes)?;
        check(bytes.get(whole..).unwrap_or_default())?;
        Ok((compare(suffix, rest) == Ordering::Greater).then_some(Self(bytes)))
    }

    /// The path inside a snapshot of an absolute path of the file system, which must be lexically clean.
    pub fn from_absolute(path: &Path) -> Result<Self> {
        let bytes = path.as_os_str().as_bytes();
        match bytes.strip_prefix(b"/") {
            Some(rest) => Self::new(rest.strip_suffix(b"/").unwrap_or(rest)),
            None => Err(Error::Invalid(format!("{} is not absolute", path.display()))),
        }
    }

    /// The paths that are shown as `text` (see [`printable`]), with or without `/` before it: the one that is spelled
    /// like that first, then the one whose bytes are escaped in it.
    pub fn of_shown(text: &str) -> Vec<Self> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let meant = if text.contains('\\') { unescaped(text) } else { None };
        let both = [Some(text.as_bytes().to_vec()), meant];
        // What is no path inside a snapshot is none of those that are shown.
        both.into_iter().flatten().filter_map(|bytes| Self::new(bytes).ok()).collect()
    }

    /// The absolute path of the file system that [`TreePath::from_absolute`] makes this of.
    pub(crate) fn to_absolute(&self) -> Vec<u8> {
        [b"/", self.0.as_slice()].concat()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// This path and one more component (or several, joined by `/`).
    pub fn join(&self, name: &[u8]) -> Result<Self> {
        check(name)?;
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() && !name.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        check_length(&bytes)?;
        Ok(Self(bytes))
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }

    /// The folder that holds this; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let cut = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        self.0.get(..cut).map(|b| Self(b.to_vec()))
    }

    /// The deepest path at or above both.
    pub fn common(&self, other: &Self) -> Self {
        let shared = self.components().zip(other.components()).take_while(|(a, b)| a == b);
        Self(shared.map(|(name, _)| name).collect::<Vec<_>>().join(&b'/'))
    }

    /// What follows `base` in this path, if this lies at or below `base`.
    pub fn strip(&self, base: &Self) -> Option<&[u8]> {
        if base.is_root() {
            return Some(&self.0);
        }
        match self.0.strip_prefix(base.as_bytes())? {
            [] => Some(&[]),
            [b'/', rest @ ..] => Some(rest),
            _ => None,
        }
    }

    /// The components.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|c| !c.is_empty())
    }
}

/// Whether bytes are a path inside a snapshot.
fn check(bytes: &[u8]) -> Result<()> {
    check_length(bytes)?;
    let bad = |c: &[u8]| matches!(c, b"" | b"." | b"..") || c.contains(&0);
    if !bytes.is_empty() && bytes.split(|b| *b == b'/').any(bad) {
        return Err(Error::Invalid(format!(
            "{:?} is not a path inside a snapshot",
            bytes.escape_ascii().to_string()
        )));
    }
    Ok(())
}

fn check_length(bytes: &[u8]) -> Result<()> {
    if bytes.len() > PATH_BYTES_MAX {
        return Err(Error::Invalid(format!("a path of {} bytes is too long", bytes.len())));
    }
    Ok(())
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

/// The order of paths: `/` before all other bytes, so that what lies below a folder follows it.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let at = shared(a, b);
    let key = |bytes: &[u8]| bytes.get(at).map(|b| if *b == b'/' { 0 } else { u16::from(*b) + 1 });
    key(a).cmp(&key(b))
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// For people: bytes that are not printable text are escaped, so that a name cannot drive a terminal.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

/// As it is shown.
impl serde::Serialize for TreePath {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreePath({self})")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_shown_leads_back_to_the_path() {
        for bytes in [
            &b"plain/a b"[..],
            b"new\nline",
            b"\x1b[31m\x07",
            b"bad\xff\xfe",
            "\u{202e}x".as_bytes(),
            b"\t\r",
        ] {
            let path = TreePath::new(bytes).unwrap();
            assert_eq!(TreePath::of_shown(&path.to_string()).last(), Some(&path));
            assert_eq!(TreePath::of_shown(&format!("/{path}")).last(), Some(&path));
        }
        let both = TreePath::of_shown("a\\nb");
        assert_eq!(both, [TreePath::new(&b"a\\nb"[..]).unwrap(), TreePath::new(&b"a\nb"[..]).unwrap()]);
        assert_eq!(TreePath::of_shown("a\\qb").len(), 1);
        assert_eq!(TreePath::of_shown("a/../b").len(), 0);
    }

    /// Paths of few different bytes, so that they begin alike, longer than the blocks that are compared at once.
    fn paths() -> Vec<TreePath> {
        let heads =
            ["", "a", "a/b", "long/enough-for-blocks/of-32-bytes", "long/enough-for-blocks/of-32-bytesx"];
        let tails =
            ["a", "a-", "a/b", "a!b", "b", "/c", "-/c", "/\u{ff}", "0123456789abcdef/0123456789abcdef"];
        let all = heads.iter().flat_map(|h| tails.iter().map(move |t| format!("{h}{t}")));
        all.filter_map(|text| TreePath::new(text).ok()).collect()
    }

    #[test]
    fn paths_are_ordered_by_their_components() {
        for a in &paths() {
            for b in &paths() {
                assert_eq!(a.cmp(b), a.components().cmp(b.components()), "{a} and {b}");
            }
        }
    }

    #[test]
    fn a_path_made_of_the_one_before_is_checked_like_any_other() {
        for before in &paths() {
            for suffix in
                ["", "x", "/x", "/", "//x", ".", "..", "/..", "/../x", "x/.", ".x", "a\0b", "-", "zz/y"]
            {
                for shared in 0..=before.0.len() {
                    let whole = TreePath::new([&before.0[..shared], suffix.as_bytes()].concat());
                    let wanted = whole.ok().filter(|path| path > before);
                    let found = TreePath::following(before, shared, suffix.as_bytes()).ok().flatten();
                    assert_eq!(found, wanted, "{before} {shared} {suffix:?}");
                }
            }
        }
    }

    #[test]
    fn the_common_path_ends_between_components() {
        let path = |text: &str| TreePath::new(text).unwrap();
        assert_eq!(path("a/bc/d").common(&path("a/bd")), path("a"));
        assert_eq!(path("a/b").common(&path("a/b/c")), path("a/b"));
        assert_eq!(path("a").common(&path("b")), TreePath::root());
    }
}
