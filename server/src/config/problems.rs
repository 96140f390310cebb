//! What is wrong with a configuration file: all of it at once, each with its line.

use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};
use crate::values::nearest;

/// Where something stands in the file: how people name it, and the way to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    label: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Nth(usize),
}

impl Place {
    /// A key here.
    pub(super) fn key(&self, key: &str) -> Self {
        let mark = match self.label.as_str() {
            "" => "",
            label if label.ends_with('"') => ": ",
            _ => ".",
        };
        let mut place = self.clone();
        place.label = format!("{}{mark}{key}", self.label);
        place.steps.push(Step::Key(key.to_owned()));
        place
    }

    /// One of several tables here, which people know by its name.
    pub(super) fn nth(&self, key: &str, number: usize, name: &str) -> Self {
        let mut place = self.key(key);
        place.label = format!("{} {name:?}", place.label);
        place.steps.push(Step::Nth(number));
        place
    }
}

/// Collects what is wrong.
pub(super) struct Problems<'t> {
    path: String,
    text: &'t str,
    table: Option<DeTable<'t>>,
    found: Vec<Error>,
}

impl<'t> Problems<'t> {
    /// Nothing is wrong yet with `text`, the file `path`.
    pub(super) fn new(path: &str, text: &'t str) -> Self {
        let table = DeTable::parse(text).ok().map(toml::Spanned::into_inner);
        Self { path: path.to_owned(), text, table, found: Vec::new() }
    }

    /// The file is not TOML, or a value has the wrong type. The message alone is taken: what surrounds it shows lines of the
    /// file, in which secrets may stand.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let path = self.at(error.span().map(|s| s.start));
        self.found.push(Error::Syntax { path, why: error.message().trim_end().to_owned() });
    }

    /// A value is wrong.
    pub(super) fn value(&mut self, place: &Place, why: impl Into<String>) {
        let path = self.at(self.offset(&place.steps));
        self.found
            .push(Error::Value { place: format!("configuration {path}: {}", place.label), why: why.into() });
    }

    /// A check of a value that may have failed.
    pub(super) fn check<T>(&mut self, place: &Place, checked: Result<T, String>) {
        if let Err(why) = checked {
            self.value(place, why);
        }
    }

    /// A key is not known; `named` is how it is called, with the section.
    pub(super) fn unknown(&mut self, place: &Place, section: &str, key: &str, known: &[&str]) {
        let path = self.at(self.offset(&place.steps));
        let nearest = nearest(key, known.iter().copied()).map(|n| format!("{section}{n}"));
        self.found.push(Error::UnknownKey { path, key: format!("{section}{key}"), nearest });
    }

    /// Whether anything was found.
    pub(super) fn any(&self) -> bool {
        !self.found.is_empty()
    }

    /// All that was found, as one error.
    pub(super) fn finish(mut self) -> Result<()> {
        match self.found.pop() {
            None => Ok(()),
            Some(only) if self.found.is_empty() => Err(only),
            Some(last) => {
                self.found.push(last);
                Err(Error::Several { path: self.path, problems: self.found })
            }
        }
    }

    fn at(&self, offset: Option<usize>) -> String {
        let before = offset.and_then(|offset| self.text.as_bytes().get(..offset));
        match before {
            Some(before) => {
                let line = before.split(|b| *b == b'\n').count();
                format!("{}, line {line}", self.path)
            }
            None => self.path.clone(),
        }
    }

    /// Where the last of `steps` that is there begins.
    fn offset(&self, steps: &[Step]) -> Option<usize> {
        let mut table = self.table.as_ref()?;
        let mut array = None;
        let mut found = None;
        for step in steps {
            let value = match step {
                Step::Key(key) => {
                    let Some((at, value)) = table.iter().find(|(k, _)| k.get_ref() == key) else { break };
                    found = Some(at.span().start);
                    value
                }
                Step::Nth(number) => {
                    let Some(value) = array.and_then(|a: &toml::de::DeArray<'_>| a.get(*number)) else {
                        break;
                    };
                    found = Some(value.span().start);
                    value
                }
            };
            array = None;
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                DeValue::Array(inner) => array = Some(inner),
                _ => break,
            }
        }
        found
    }
}
