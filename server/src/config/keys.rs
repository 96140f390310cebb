//! The keys that a configuration file may hold; any other is named with the nearest one.

use std::cell::Cell;

use serde::Deserializer;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use toml::{Table, Value};

use crate::config::problems::{Place, Problems};
use crate::config::{
    Config, DrillConfig, DrillQuery, DrillRules, EventsConfig, HealthConfig, HookConfig, Limits,
    NotifyConfig, OffsiteConfig, RepositoryConfig, ScheduleConfig, ServiceConfig, Source, TargetConfig,
    TierRule,
};

/// Keys of `[retention]` and `[target.retention]`: the tiers, the kinds, and the age of everything else.
const RETENTION: &[&str] = &[
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

/// Names every key that is not known, and takes it out of `file`.
pub(super) fn check(file: &mut Table, problems: &mut Problems<'_>) {
    let mut checker = Checker { problems };
    let top = Place::default();
    checker.table("", file, &top, fields_of::<Config>());
    checker.section(file, "repository", &top, fields_of::<RepositoryConfig>());
    checker.section(file, "limits", &top, fields_of::<Limits>());
    checker.section(file, "drill", &top, fields_of::<DrillConfig>());
    checker.section(file, "events", &top, fields_of::<EventsConfig>());
    checker.section(file, "service", &top, fields_of::<ServiceConfig>());
    checker.retention("retention", file, &top);
    checker.array(file, "offsite", &top, fields_of::<OffsiteConfig>());
    checker.array(file, "schedule", &top, fields_of::<ScheduleConfig>());
    checker.array(file, "hook", &top, fields_of::<HookConfig>());
    checker.array(file, "notify", &top, fields_of::<NotifyConfig>());
    for (target, at) in tables(file, "target", &top) {
        checker.table("target.", target, &at, fields_of::<TargetConfig>());
        checker.retention("target.retention", target, &at);
        if let Some(health) = target.get_mut("health").and_then(Value::as_table_mut) {
            checker.table("target.health.", health, &at.key("health"), fields_of::<HealthConfig>());
        }
        for (source, at) in tables(target, "source", &at) {
            checker.table("target.source.", source, &at, fields_of::<Source>());
            Source::check_keys(source, &at, checker.problems);
            for (rules, at) in tables(source, "drill", &at) {
                checker.table("target.source.drill.", rules, &at, fields_of::<DrillRules>());
                checker.array(rules, "queries", &at, fields_of::<DrillQuery>());
            }
        }
    }
}

struct Checker<'a, 't> {
    problems: &'a mut Problems<'t>,
}

impl Checker<'_, '_> {
    fn table(&mut self, prefix: &str, table: &mut Table, at: &Place, known: &[&str]) {
        table.retain(|key, _| {
            let is_known = known.contains(&key);
            if !is_known {
                self.problems.unknown(&at.key(key), prefix, key, known);
            }
            is_known
        });
    }

    fn section(&mut self, file: &mut Table, name: &str, at: &Place, known: &[&str]) {
        if let Some(table) = file.get_mut(name).and_then(Value::as_table_mut) {
            self.table(&format!("{name}."), table, &at.key(name), known);
        }
    }

    fn array(&mut self, file: &mut Table, name: &str, at: &Place, known: &[&str]) {
        for (table, at) in tables(file, name, at) {
            self.table(&format!("{name}."), table, &at, known);
        }
    }

    fn retention(&mut self, name: &str, holder: &mut Table, at: &Place) {
        let at = at.key("retention");
        let Some(table) = holder.get_mut("retention").and_then(Value::as_table_mut) else { return };
        self.table(&format!("{name}."), table, &at, RETENTION);
        for (tier, rule) in table.iter_mut() {
            if let Some(rule) = rule.as_table_mut() {
                self.table(&format!("{name}.{tier}."), rule, &at.key(tier), fields_of::<TierRule>());
            }
        }
    }
}

/// The tables of an array, with their places; people know them by their names.
fn tables<'a>(
    holder: &'a mut Table,
    key: &'a str,
    at: &Place,
) -> impl Iterator<Item = (&'a mut Table, Place)> + use<'a> {
    let at = at.clone();
    let all = holder.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten();
    all.enumerate().filter_map(move |(number, value)| {
        let table = value.as_table_mut()?;
        let name = table.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        Some((table, at.nth(key, number, &name)))
    })
}
