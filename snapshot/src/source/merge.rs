//! Several ordered streams of entries as one: each path once, the first stream that has it wins.

use std::iter::Peekable;

use crate::source::{Entry, Item};

type Stream = Peekable<Box<dyn Iterator<Item = Item> + Send>>;

/// Merges streams; gives each item with the number of the stream that it came from.
pub(crate) struct Merged {
    streams: Vec<Stream>,
}

impl Merged {
    /// Over `streams`, each ordered by path.
    pub(crate) fn new(streams: Vec<Box<dyn Iterator<Item = Item> + Send>>) -> Self {
        Self { streams: streams.into_iter().map(Iterator::peekable).collect() }
    }
}

impl Iterator for Merged {
    type Item = (usize, Item);

    fn next(&mut self) -> Option<(usize, Item)> {
        let mut first: Option<(usize, &Entry)> = None;
        let mut problem = None;
        for (number, stream) in self.streams.iter_mut().enumerate() {
            match stream.peek() {
                Some(Item::Entry(entry)) if first.is_none_or(|(_, f)| entry.path < f.path) => {
                    first = Some((number, entry));
                }
                Some(Item::Problem(_)) => {
                    problem = Some(number);
                    break;
                }
                _ => {}
            }
        }
        let number = problem.or(first.map(|(number, _)| number))?;
        let item = self.streams.get_mut(number)?.next()?;
        if let Item::Entry(entry) = &item {
            for (_, stream) in self.streams.iter_mut().enumerate().filter(|(other, _)| *other != number) {
                stream.next_if(|i| matches!(i, Item::Entry(e) if e.path == entry.path));
            }
        }
        Some((number, item))
    }
}

impl std::fmt::Debug for Merged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merged").field("streams", &self.streams.len()).finish()
    }
}
