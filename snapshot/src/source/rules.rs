//! An ordered list of patterns with gitignore semantics, each knowing where it stands. The last that fits decides.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};

use crate::error::{Error, Result};

/// Most patterns in one list; a generated list beyond it is refused rather than compiled for minutes.
const PATTERNS_MAX: usize = 100_000;

/// One pattern and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// File, or option of the command line.
    pub(crate) origin: String,
    /// Line in that file, or number of the option, from 1.
    pub(crate) line: usize,
    /// As it was written.
    pub(crate) pattern: String,
    order: usize,
}

/// What a list says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match1<'r> {
    /// Nothing.
    Silent,
    /// A pattern fits.
    Fits(&'r Rule),
    /// A pattern with `!` fits.
    Negated(&'r Rule),
}

/// A compiled list.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Fits paths relative to the folder that the list belongs to.
    relative: Gitignore,
    /// Patterns that begin with `/`, fit absolute paths.
    absolute: Gitignore,
    known: HashMap<String, Rule>,
}

/// Collects patterns.
#[derive(Debug)]
pub(crate) struct RulesBuilder {
    relative: GitignoreBuilder,
    absolute: GitignoreBuilder,
    takes_absolute: bool,
    rules: HashMap<String, Rule>,
    count: usize,
}

impl RulesBuilder {
    /// For an ignore file: a leading `/` means its own folder.
    pub(crate) fn relative() -> Self {
        Self::new(false)
    }

    /// For options: a leading `/` means a root of the backup, or the root of the file system.
    pub(crate) fn with_absolute() -> Self {
        Self::new(true)
    }

    fn new(takes_absolute: bool) -> Self {
        let builder = || GitignoreBuilder::new(".");
        Self { relative: builder(), absolute: builder(), takes_absolute, rules: HashMap::new(), count: 0 }
    }

    /// Adds one line; comments and empty lines are skipped.
    pub(crate) fn add(&mut self, origin: &str, line: usize, pattern: &str) -> Result<()> {
        let bad =
            |why: String| Error::Invalid(format!("{origin}:{line}: {pattern:?} is not a pattern: {why}"));
        if self.count == PATTERNS_MAX {
            return Err(bad(format!("more than {PATTERNS_MAX} patterns")));
        }
        let Some(text) = literal_braces(pattern) else { return Ok(()) };
        self.relative.add_line(None, &text).map_err(|e| bad(e.to_string()))?;
        if self.takes_absolute && text.strip_prefix('!').unwrap_or(&text).starts_with('/') {
            self.absolute.add_line(None, &text).map_err(|e| bad(e.to_string()))?;
        }
        let rule = Rule { origin: origin.to_owned(), line, pattern: pattern.to_owned(), order: self.count };
        self.rules.insert(text, rule);
        self.count += 1;
        Ok(())
    }

    /// Adds all lines of a file. With `strict`, a line that is no pattern is an error, else it fits nothing, as in git.
    pub(crate) fn add_file(&mut self, origin: &str, bytes: &[u8], strict: bool) -> Result<()> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            match self.add(origin, number + 1, &line) {
                Err(e) if strict => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Compiles the list.
    pub(crate) fn build(self) -> Result<Rules> {
        let compile = |b: GitignoreBuilder| b.build().map_err(|e| Error::Invalid(format!("patterns: {e}")));
        Ok(Rules { relative: compile(self.relative)?, absolute: compile(self.absolute)?, known: self.rules })
    }
}

impl Rules {
    /// Whether there is no pattern.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What the list says of a path, given relative to the list's folder and to the root of the file system.
    pub(crate) fn decide(&self, relative: &[u8], absolute: &[u8], is_dir: bool) -> Match1<'_> {
        let path = |bytes| Path::new(OsStr::from_bytes(bytes));
        let by_relative = self.found(&self.relative.matched(path(relative), is_dir));
        if self.absolute.is_empty() {
            return by_relative;
        }
        let by_absolute = self.found(&self.absolute.matched(path(absolute), is_dir));
        if by_absolute.order() > by_relative.order() { by_absolute } else { by_relative }
    }

    fn found(&self, found: &Match<&Glob>) -> Match1<'_> {
        let rule = |glob: &Glob| self.known.get(glob.original());
        match found {
            Match::None => Match1::Silent,
            Match::Ignore(glob) => rule(glob).map_or(Match1::Silent, Match1::Fits),
            Match::Whitelist(glob) => rule(glob).map_or(Match1::Silent, Match1::Negated),
        }
    }
}

impl Match1<'_> {
    fn order(&self) -> Option<usize> {
        match self {
            Self::Silent => None,
            Self::Fits(rule) | Self::Negated(rule) => Some(rule.order),
        }
    }
}

/// The pattern with braces escaped, since git knows no alternatives in braces; `None` if the line holds no pattern.
fn literal_braces(pattern: &str) -> Option<String> {
    if pattern.starts_with('#') || pattern.trim_end_matches(' ').is_empty() {
        return None;
    }
    let mut out = String::with_capacity(pattern.len() + 2);
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '{' | '}' if !in_class => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    Some(out)
}
