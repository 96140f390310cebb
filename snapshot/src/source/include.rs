//! Drops folders that were only walked through: with include patterns a folder counts when it, or something below
//! it, is included.

use crate::source::walk::Walked;
use crate::source::{Entry, Item};

/// Holds folders back until something below them is included.
#[derive(Debug)]
pub(crate) struct Included<I> {
    walk: I,
    /// Folders from the outermost inwards that nothing was included of yet.
    held: Vec<Entry>,
    /// What goes out next, the last first.
    ready: Vec<Item>,
}

impl<I: Iterator<Item = Walked>> Included<I> {
    /// Over a walk.
    pub(crate) fn new(walk: I) -> Self {
        Self { walk, held: Vec::new(), ready: Vec::new() }
    }
}

impl<I: Iterator<Item = Walked>> Iterator for Included<I> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop() {
                return Some(item);
            }
            match self.walk.next()? {
                Walked::Problem(problem) => return Some(Item::Problem(problem)),
                Walked::Entry { entry, included } => {
                    while self.held.last().is_some_and(|dir| entry.path.strip(&dir.path).is_none()) {
                        self.held.pop();
                    }
                    if included && self.held.is_empty() {
                        return Some(Item::Entry(entry));
                    }
                    if included {
                        self.ready.push(Item::Entry(entry));
                        self.ready.extend(self.held.drain(..).rev().map(Item::Entry));
                    } else {
                        self.held.push(entry);
                    }
                }
            }
        }
    }
}
