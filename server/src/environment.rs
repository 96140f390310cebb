//! The environment variables that existing deployments set; they override the configuration file.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// What the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `BACKUP_PATH`, else `CRONOS_BACKUP_DIR`: where the repository is.
    pub backup_path: Option<PathBuf>,
    /// `RETENTION_DAYS`: age of snapshots that no rule names.
    pub retention_days: Option<u32>,
    /// `CRONOS_RETENTION_DAYS`: system E's limit of age.
    pub project_retention_days: Option<u32>,
    /// `CRONOS_MAX_BACKUPS`: system E's limit of number.
    pub project_max_backups: Option<u32>,
}

impl Environment {
    /// Reads the variables through `get`. Empty ones count as not set.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str| get(name).filter(|v| !v.is_empty());
        let number = |name: &str| match text(name) {
            None => Ok(None),
            Some(value) => value.trim().parse::<u32>().map(Some).map_err(|_| Error::Value {
                place: format!("environment variable {name}"),
                why: format!("{value:?} is not a whole number"),
            }),
        };
        Ok(Self {
            backup_path: text("BACKUP_PATH").or_else(|| text("CRONOS_BACKUP_DIR")).map(PathBuf::from),
            retention_days: number("RETENTION_DAYS")?,
            project_retention_days: number("CRONOS_RETENTION_DAYS")?,
            project_max_backups: number("CRONOS_MAX_BACKUPS")?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_older_name_of_the_place_comes_second() {
        let both = |n: &str| match n {
            "BACKUP_PATH" => Some("/a".into()),
            "CRONOS_BACKUP_DIR" => Some("/b".into()),
            _ => None,
        };
        assert_eq!(Environment::read(both).unwrap().backup_path, Some("/a".into()));
        let one = |n: &str| (n == "CRONOS_BACKUP_DIR").then(|| "/b".into());
        assert_eq!(Environment::read(one).unwrap().backup_path, Some("/b".into()));
    }

    #[test]
    fn a_bad_number_names_its_variable() {
        let bad = |n: &str| (n == "RETENTION_DAYS").then(|| "many".into());
        assert!(Environment::read(bad).unwrap_err().to_string().contains("RETENTION_DAYS"));
    }
}
