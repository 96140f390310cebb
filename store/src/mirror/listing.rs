//! Two listings side by side, page by page: neither is held as a whole.

use std::cmp::Ordering;
use std::vec::IntoIter;

use crate::backend::{Backend, Entry, LIST_PAGE};
use crate::error::Result;

/// One name of two listings.
#[derive(Debug)]
pub(super) enum Side {
    /// At the source alone.
    Source(Entry),
    /// At both.
    Both(Entry, Entry),
    /// At the destination alone.
    Dest(Entry),
}

/// Hands every name below `prefix` of both places to `each`, in order. What is made meanwhile at a place that was passed is not seen.
pub(super) fn join(
    source: &dyn Backend,
    dest: &dyn Backend,
    prefix: &str,
    each: &mut dyn FnMut(Side) -> Result<()>,
) -> Result<()> {
    let mut source = Pages::new(source, prefix);
    let mut dest = Pages::new(dest, prefix);
    let (mut left, mut right) = (source.next()?, dest.next()?);
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(l), Some(r)) => l.name.cmp(&r.name),
        };
        let from_left = if order.is_le() { std::mem::replace(&mut left, source.next()?) } else { None };
        let from_right = if order.is_ge() { std::mem::replace(&mut right, dest.next()?) } else { None };
        match (from_left, from_right) {
            (Some(l), Some(r)) => each(Side::Both(l, r))?,
            (Some(l), None) => each(Side::Source(l))?,
            (None, Some(r)) => each(Side::Dest(r))?,
            (None, None) => return Ok(()),
        }
    }
}

/// A listing of which one page is held.
struct Pages<'b> {
    backend: &'b dyn Backend,
    prefix: &'b str,
    page: IntoIter<Entry>,
    /// Behind which the next page begins; `None` before the first.
    after: Option<String>,
    is_last: bool,
}

impl<'b> Pages<'b> {
    fn new(backend: &'b dyn Backend, prefix: &'b str) -> Self {
        Self { backend, prefix, page: Vec::new().into_iter(), after: None, is_last: false }
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        if let Some(entry) = self.page.next() {
            return Ok(Some(entry));
        }
        if self.is_last {
            return Ok(None);
        }
        let page = self.backend.list(self.prefix, self.after.as_deref(), LIST_PAGE)?;
        self.is_last = page.len() < LIST_PAGE;
        self.after = page.last().map(|e| e.name.clone()).or(self.after.take());
        self.page = page.into_iter();
        Ok(self.page.next())
    }
}
