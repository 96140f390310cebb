//! Several ordered streams of entries as one: each path once, the first stream that has it wins.

use std::iter::Peekable;

use crate::record::PathError;
use crate::source::{Entry, Item};

type Stream = Peekable<Box<dyn Iterator<Item = Item> + Send>>;

/// A stream without items.
pub(crate) fn none() -> Box<dyn Iterator<Item = Item> + Send> {
    Box::new(std::iter::empty())
}

/// Merges streams; gives each item with the number of the stream that it came from.
pub(crate) struct Merged {
    streams: Vec<Stream>,
    /// Whether two entries of one path that are not both folders are a problem.
    is_strict: bool,
    clashes: Vec<(usize, Item)>,
}

impl Merged {
    /// Over `streams`, each ordered by path.
    pub(crate) fn new(streams: Vec<Box<dyn Iterator<Item = Item> + Send>>) -> Self {
        let streams = streams.into_iter().map(Iterator::peekable).collect();
        Self { streams, is_strict: false, clashes: Vec::new() }
    }

    /// Of several sources: what two of them give in different ways is named.
    pub(crate) fn strict(streams: Vec<Box<dyn Iterator<Item = Item> + Send>>) -> Self {
        Self { is_strict: true, ..Self::new(streams) }
    }

    /// Takes nothing more of a stream.
    pub(crate) fn end(&mut self, number: usize) {
        if let Some(stream) = self.streams.get_mut(number) {
            *stream = none().peekable();
        }
    }
}

impl Iterator for Merged {
    type Item = (usize, Item);

    fn next(&mut self) -> Option<(usize, Item)> {
        if let Some(clash) = self.clashes.pop() {
            return Some(clash);
        }
        if let [only] = self.streams.as_mut_slice() {
            return only.next().map(|item| (0, item));
        }
        let mut first: Option<(usize, &Entry)> = None;
        let mut problem = None;
        for (number, stream) in self.streams.iter_mut().enumerate() {
            match stream.peek() {
                Some(Item::Entry(entry)) if first.is_none_or(|(_, f)| entry.path < f.path) => {
                    first = Some((number, entry));
                }
                Some(Item::Problem(_) | Item::Failed(_)) => {
                    problem = Some(number);
                    break;
                }
                _ => {}
            }
        }
        let number = problem.or(first.map(|(number, _)| number))?;
        let item = self.streams.get_mut(number)?.next()?;
        if let Item::Entry(entry) = &item {
            for (other, stream) in self.streams.iter_mut().enumerate().filter(|(other, _)| *other != number) {
                let same = stream.next_if(|i| matches!(i, Item::Entry(e) if e.path == entry.path));
                if let (Some(Item::Entry(second)), true) = (same, self.is_strict)
                    && !(second.node.is_dir() && entry.node.is_dir())
                {
                    let path = format!("/{}", second.path);
                    let error =
                        "another source of this backup has the same path; only that one is stored".to_owned();
                    self.clashes.push((other, Item::Problem(PathError { path, error })));
                }
            }
        }
        Some((number, item))
    }
}

impl std::fmt::Debug for Merged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merged").field("streams", &self.streams.len()).finish_non_exhaustive()
    }
}
