//! What a source has to give so that a snapshot is good: without I/O, from what was counted.
//!
//! Checked when everything is stored and before the snapshot is decided, so that a snapshot which lacks something is never
//! called complete.

use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::record::{SourcePart, SourceResult};

/// Names that a source must hold at most; each is looked for in every path.
const REQUIRED_MAX: usize = 1_000;

/// What one source has to give. A source that has this and gives nothing at all has failed, unless it is optional.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requirement {
    /// It may be absent: if it gives nothing at all, for whatever reason, the snapshot is good without it.
    pub optional: bool,
    /// So many files at least.
    pub min_files: Option<u64>,
    /// So many bytes at least.
    pub min_bytes: Option<u64>,
    /// By which share, 0 to 1, its files or its bytes may be fewer than in the last good snapshot of the same scope.
    pub max_drop: Option<f64>,
    /// Workflows, tables, databases, files that must be there, by name or id.
    pub required: Vec<String>,
    /// How many things may be unreadable.
    pub read_errors_max: u64,
}

impl Requirement {
    /// Refuses what no source could be checked by.
    pub(crate) fn check(&self, source: &str) -> Result<()> {
        let bad = |why: String| Err(Error::Invalid(format!("requirement of source {source}: {why}")));
        if let Some(share) = self.max_drop.filter(|share| !(0.0..=1.0).contains(share)) {
            return bad(format!("{share} is no share between 0 and 1"));
        }
        if self.required.len() > REQUIRED_MAX {
            return bad(format!("more than {REQUIRED_MAX} names"));
        }
        if self.required.iter().any(String::is_empty) {
            return bad("an empty name".to_owned());
        }
        Ok(())
    }

    /// What of it a source does not meet, as a sentence; `before` is the source in the last good snapshot, `missing` what of
    /// `required` was not found, `problems` how many things could not be read.
    pub(crate) fn unmet(
        &self,
        now: &SourceResult,
        before: Option<&SourceResult>,
        missing: &[String],
        problems: u64,
    ) -> Option<String> {
        let mut said = Vec::new();
        for (what, is, wanted) in [("files", now.files, self.min_files), ("bytes", now.size, self.min_bytes)]
        {
            if let Some(wanted) = wanted.filter(|wanted| is < *wanted) {
                said.push(format!("it gave {is} {what}, at least {wanted} are required"));
            }
        }
        if let (Some(share), Some(before)) = (self.max_drop, before) {
            for (what, is, was) in [("files", now.files, before.files), ("bytes", now.size, before.size)] {
                if drop(is, was) > share {
                    let (fell, may) = (percent(drop(is, was)), percent(share));
                    said.push(format!(
                        "it gave {is} {what}, {fell} fewer than the {was} of the last good snapshot; at most {may} are allowed"
                    ));
                }
            }
        }
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|name| format!("{name:?}")).collect();
            said.push(format!("it does not hold {}, as is required", names.join(", ")));
        }
        if self.read_errors_max > 0 && problems > self.read_errors_max {
            let (max, first) = (self.read_errors_max, now.error.as_deref().unwrap_or_default());
            said.push(format!(
                "{problems} things could not be read, at most {max} are allowed; first {first}"
            ));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// By which share something is fewer than it was.
#[expect(clippy::cast_precision_loss, reason = "a share of more than 2^53 need not be exact")]
fn drop(is: u64, was: u64) -> f64 {
    if was == 0 { 0.0 } else { was.saturating_sub(is) as f64 / was as f64 }
}

fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Whether a file is what `name` asks for: by its path, the end of its path, its name, or its name without what follows the
/// last dot.
pub(crate) fn is_named(path: &TreePath, name: &str) -> bool {
    let (path, name) = (path.as_bytes(), name.strip_prefix('/').unwrap_or(name).as_bytes());
    let ends = |path: &[u8]| {
        path.strip_suffix(name).is_some_and(|above| above.is_empty() || above.last() == Some(&b'/'))
    };
    let stem = path.iter().rposition(|b| *b == b'.').and_then(|dot| path.get(..dot));
    ends(path) || stem.is_some_and(ends)
}

/// The same of a part that a source tells, if it is there.
pub(crate) fn is_part(part: &SourcePart, name: &str) -> bool {
    part.error.is_none() && TreePath::new(part.file.trim_matches('/')).is_ok_and(|path| is_named(&path, name))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn gave(files: u64, size: u64) -> SourceResult {
        SourceResult { files, size, ..SourceResult::default() }
    }

    #[test]
    fn what_is_at_the_limit_is_enough_and_one_less_is_not() {
        let wanted = Requirement { min_files: Some(5), min_bytes: Some(100), ..Requirement::default() };
        assert_eq!(wanted.unmet(&gave(5, 100), None, &[], 0), None);
        let said = wanted.unmet(&gave(4, 99), None, &[], 0).unwrap();
        assert_eq!(
            said,
            "it gave 4 files, at least 5 are required; it gave 99 bytes, at least 100 are required"
        );
    }

    #[test]
    fn a_drop_may_be_as_large_as_allowed_and_no_larger() {
        for (share, was, is) in
            [(0.1, 30, 27), (0.1, 10, 9), (0.3, 1_000, 700), (0.0, 7, 7), (1.0, 7, 0), (0.07, 100, 93)]
        {
            let wanted = Requirement { max_drop: Some(share), ..Requirement::default() };
            let before = gave(was, 1_000);
            assert_eq!(wanted.unmet(&gave(is, 1_000), Some(&before), &[], 0), None, "{share}");
            if is > 0 {
                let said = wanted.unmet(&gave(is - 1, 1_000), Some(&before), &[], 0).unwrap();
                assert!(said.contains(&format!("the {was} of the last good")), "{said}");
            }
        }
        let wanted = Requirement { max_drop: Some(0.5), ..Requirement::default() };
        let said = wanted.unmet(&gave(10, 499), Some(&gave(10, 1_000)), &[], 0).unwrap();
        assert!(said.contains("499 bytes, 50.1 % fewer") && said.contains("at most 50 %"), "{said}");
        assert_eq!(
            wanted.unmet(&gave(1, 1), Some(&gave(0, 0)), &[], 0),
            None,
            "nothing can be fewer than none"
        );
        assert_eq!(wanted.unmet(&gave(1, 1), None, &[], 0), None);
    }

    #[test]
    fn read_errors_are_allowed_up_to_their_number() {
        let wanted = Requirement { read_errors_max: 2, ..Requirement::default() };
        let now = SourceResult { error: Some("/a: denied".to_owned()), ..gave(1, 1) };
        assert_eq!(wanted.unmet(&now, None, &[], 2), None);
        assert!(wanted.unmet(&now, None, &[], 3).unwrap().contains("/a: denied"));
    }

    #[test]
    fn names_fit_paths_at_their_end_and_never_in_part() {
        let path = TreePath::new("prod/workflows/12.json").unwrap();
        for name in ["12", "12.json", "workflows/12", "/prod/workflows/12.json", "prod/workflows/12"] {
            assert!(is_named(&path, name), "{name}");
        }
        for name in ["2", "2.json", "1", "workflows", "s/12", "json", "prod/workflows/1"] {
            assert!(!is_named(&path, name), "{name}");
        }
        let part = SourcePart { file: "pg/shop.dump".to_owned(), ..SourcePart::default() };
        assert!(is_part(&part, "shop") && !is_part(&part, "hop"));
    }

    #[test]
    fn requirements_that_mean_nothing_are_refused() {
        for share in [-0.1, 1.1, f64::NAN] {
            let wanted = Requirement { max_drop: Some(share), ..Requirement::default() };
            assert!(wanted.check("db").unwrap_err().to_string().contains("db"));
        }
        let empty = Requirement { required: vec![String::new()], ..Requirement::default() };
        empty.check("db").unwrap_err();
    }
}
