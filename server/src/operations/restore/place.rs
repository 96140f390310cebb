//! Where a restore into a new place may write: below the configured `restore_root`, and anywhere only for whoever has a token.
//!
//! What always holds: `..` is refused, and links are followed before it is judged where a path leads. Below the root none is followed
//! after that: what is put there between the judgement and the restore leads nowhere.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use chronos_snapshot::printable;

use crate::error::{Error, Result};

/// Folder of the places that nobody named, below the root.
const RESTORES: &str = "restores";

/// Where a caller may have files written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Below the configured `restore_root`.
    #[default]
    Root,
    /// Anywhere.
    Anywhere,
    /// Anywhere; what is relative lies below the working directory, whatever is configured.
    Here,
}

/// A folder that is restored into.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewPlace {
    /// Where it is, without links.
    pub(super) path: PathBuf,
    /// The root, without links, if it lies below that.
    pub(super) beneath: Option<PathBuf>,
}

/// The folder that is meant. `name` is that of the place if nobody named one.
///
/// # Errors
/// [`Error::Value`] for paths that are none, [`Error::OutsideRoot`] for those that this caller may not name.
pub(super) fn new_place(
    root: Option<&Path>,
    asked: Option<&Path>,
    name: &str,
    reach: Reach,
) -> Result<NewPlace> {
    let asked = asked.map_or_else(|| Path::new(RESTORES).join(name), Path::to_owned);
    let climbs = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    if reach != Reach::Here && climbs(&asked) {
        return Err(wrong(format!("{} has .. in it", shown(&asked))));
    }
    let meant = match root {
        _ if reach == Reach::Here => asked.clone(),
        Some(root) => root.join(&asked),
        None if asked.is_absolute() => asked.clone(),
        None => {
            let why =
                "no folder for restores is configured (service.restore_root), and no absolute path was given";
            return Err(wrong(why.to_owned()));
        }
    };
    let path = resolved(&meant)?;
    if climbs(&path) {
        return Err(wrong(format!("{} has .. behind a folder that is not there", shown(&asked))));
    }
    let beneath = root.map(resolved).transpose()?;
    let beneath = beneath.filter(|root| path != *root && path.starts_with(root));
    if beneath.is_none() && reach == Reach::Root {
        return Err(Error::OutsideRoot { path: shown(&asked), root: root.map(shown) });
    }
    Ok(NewPlace { path, beneath })
}

/// The same path without links; what is not there yet is added as it is.
pub(crate) fn resolved(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(|e| Error::local(path, e))?;
    for at in path.ancestors() {
        match at.canonicalize() {
            Ok(real) => {
                let rest = path.strip_prefix(at).unwrap_or(Path::new(""));
                return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // A link that leads nowhere is there all the same.
                if at.symlink_metadata().is_ok() {
                    return Err(wrong(format!("{} is a link that leads nowhere", shown(at))));
                }
            }
            Err(e) => return Err(wrong(format!("{}: {e}", shown(at)))),
        }
    }
    Ok(path)
}

fn wrong(why: String) -> Error {
    Error::Value { place: "restore_target_path".to_owned(), why }
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_lies_below_the_root_can_be_named_without_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let root = base.join("root");
        fs::create_dir_all(root.join("there")).unwrap();
        fs::create_dir(base.join("elsewhere")).unwrap();
        symlink(base.join("elsewhere"), root.join("out")).unwrap();
        symlink(root.join("there"), root.join("in")).unwrap();
        symlink(base.join("nowhere"), root.join("dangling")).unwrap();
        let place = |asked: &str, reach| {
            let place = new_place(Some(&root), Some(Path::new(asked)), "n", reach)?;
            assert_eq!(place.beneath.is_some(), place.path.starts_with(&root));
            Ok::<_, Error>(place.path)
        };
        let ok = |asked: &str| place(asked, Reach::Root).unwrap();
        assert_eq!(ok("a/b"), root.join("a/b"));
        assert_eq!(ok("in/new"), root.join("there/new"));
        assert_eq!(ok(root.join("a").to_str().unwrap()), root.join("a"));
        assert_eq!(new_place(Some(&root), None, "n", Reach::Root).unwrap().path, root.join("restores/n"));
        for bad in
            ["../elsewhere", "a/../../elsewhere", "out", "out/new", "dangling", "dangling/x", "/etc", "."]
        {
            assert!(place(bad, Reach::Root).is_err(), "{bad}");
        }
        let sibling = base.join("root-not");
        assert!(place(sibling.to_str().unwrap(), Reach::Root).is_err());
        // Whoever has a token may go anywhere, but not by tricks.
        assert_eq!(place("out/new", Reach::Anywhere).unwrap(), base.join("elsewhere/new"));
        assert_eq!(place(sibling.to_str().unwrap(), Reach::Anywhere).unwrap(), sibling);
        assert!(place("a/../../elsewhere", Reach::Anywhere).is_err());
    }

    #[test]
    fn whoever_sits_at_the_machine_names_places_from_where_he_is() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        let place = |asked: Option<&str>| {
            new_place(Some(&root), asked.map(Path::new), "n", Reach::Here).map(|place| place.path)
        };
        assert_eq!(place(None).unwrap(), here.join("restores/n"));
        assert_eq!(place(Some("new")).unwrap(), here.join("new"));
        assert_eq!(place(Some("../new")).unwrap(), here.parent().unwrap().join("new"));
        assert_eq!(place(root.join("a").to_str()).unwrap(), root.join("a"));
        assert!(place(Some("nowhere/../new")).is_err());
    }

    #[test]
    fn without_a_root_only_a_token_and_an_absolute_path_lead_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        assert!(matches!(new_place(None, None, "n", Reach::Root), Err(Error::Value { .. })));
        assert!(matches!(new_place(None, None, "n", Reach::Anywhere), Err(Error::Value { .. })));
        let to = base.join("new");
        assert!(matches!(new_place(None, Some(&to), "n", Reach::Root), Err(Error::OutsideRoot { .. })));
        let place = new_place(None, Some(&to), "n", Reach::Anywhere).unwrap();
        assert_eq!(place, NewPlace { path: to, beneath: None });
    }
}
