//! The keys that a configuration file may hold; anything else is an error that names the nearest one.

use std::cell::Cell;

use serde::Deserializer;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use toml::{Table, Value};

use super::{Config, Limits, RepositoryConfig, Source, TargetConfig, TierRule};
use crate::error::{Error, Result};
use crate::values::nearest;

/// Keys of `[retention]` and `[target.retention]`: the tiers, the kinds, and the age of everything else.
pub(super) const RETENTION: &[&str] = &[
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "yearly",
    "manual",
    "pre-deploy",
    "scheduled",
    "emergency",
    "restore-point",
    "auto",
    "database-only",
    "workflows-only",
    "other",
];
/// The names of the fields that `T` is read from: as serde sees them, so that no list of them has to be kept.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let seen = Cell::new(&[][..]);
    // It always fails: all that is wanted is what the type asks for.
    drop(T::deserialize(Fields(&seen)));
    seen.get()
}

/// Notes the fields that a struct asks for, and gives nothing.
struct Fields<'c>(&'c Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> std::result::Result<V::Value, Self::Error> {
        Err(Self::Error::custom("only the names of fields are told here"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Self::Error> {
        self.0.set(fields);
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Refuses every key that is not known.
pub(super) fn check(path: &str, file: &Table) -> Result<()> {
    let checker = Checker { path };
    checker.table("", file, fields_of::<Config>())?;
    checker.section(file, "repository", fields_of::<RepositoryConfig>())?;
    checker.section(file, "limits", fields_of::<Limits>())?;
    checker.retention("retention", file)?;
    for target in tables(file, "target") {
        checker.table("target.", target, fields_of::<TargetConfig>())?;
        checker.retention("target.retention", target)?;
        for source in tables(target, "source") {
            checker.table("target.source.", source, fields_of::<Source>())?;
        }
    }
    Ok(())
}

struct Checker<'a> {
    path: &'a str,
}

impl Checker<'_> {
    fn table(&self, prefix: &str, table: &Table, known: &[&str]) -> Result<()> {
        match table.keys().find(|k| !known.contains(&k.as_str())) {
            None => Ok(()),
            Some(key) => Err(Error::UnknownKey {
                path: self.path.to_owned(),
                key: format!("{prefix}{key}"),
                nearest: nearest(key, known.iter().copied()).map(|n| format!("{prefix}{n}")),
            }),
        }
    }

    fn section(&self, file: &Table, name: &str, known: &[&str]) -> Result<()> {
        match file.get(name).and_then(Value::as_table) {
            Some(table) => self.table(&format!("{name}."), table, known),
            None => Ok(()),
        }
    }

    fn retention(&self, name: &str, holder: &Table) -> Result<()> {
        let Some(table) = holder.get("retention").and_then(Value::as_table) else { return Ok(()) };
        self.table(&format!("{name}."), table, RETENTION)?;
        for (tier, rule) in table {
            if let Some(rule) = rule.as_table() {
                self.table(&format!("{name}.{tier}."), rule, fields_of::<TierRule>())?;
            }
        }
        Ok(())
    }
}

fn tables<'a>(holder: &'a Table, name: &str) -> impl Iterator<Item = &'a Table> {
    holder.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}
