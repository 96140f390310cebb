//! A restore in place of a home of its own, with somebody who changes files at a defined moment of it.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use chronos_store::{Env, Monitor, Silent};

use super::*;
use crate::error::Kind;
use crate::operations::backup::{BackupRequest, plan};
use crate::workplace::{Choices, Variables};

/// Writes into a file when a phase begins.
#[derive(Debug)]
struct Meddler {
    phase: &'static str,
    file: PathBuf,
}

impl Monitor for Meddler {
    fn phase(&self, name: &'static str) {
        if name == self.phase {
            fs::write(&self.file, "written meanwhile").unwrap();
        }
    }
}

#[test]
fn what_is_written_while_files_are_built_stays_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().canonicalize().unwrap();
    let (folder, config) = (home.join("srv"), home.join(".config/chronos"));
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&config).unwrap();
    let text = format!("[[target]]\nname = \"shop\"\npaths = [\"{}\"]\n", folder.display());
    fs::write(config.join("chronos.toml"), text).unwrap();
    let (page, other) = (folder.join("page"), folder.join("other"));
    fs::write(&page, "page").unwrap();
    fs::write(&other, "other").unwrap();
    let variables = Variables::of([("HOME".to_owned(), home.clone().into_os_string())]);
    let workplace = Workplace::find(Choices::default(), variables, Env::system(), Arc::new(Silent)).unwrap();
    let repository = workplace.open_or_create().unwrap().repository;
    let request = BackupRequest { target: Some("shop".to_owned()), ..BackupRequest::default() };
    plan(&workplace, request, Vec::new()).unwrap().run(&workplace, &repository).unwrap();
    fs::write(&page, "defaced").unwrap();
    fs::write(&other, "defaced too").unwrap();

    let put_back = |phase| {
        let meddler = Arc::new(Meddler { phase, file: page.clone() });
        let meddled = workplace.reporting_to(meddler);
        let repository = meddled.open().unwrap().repository;
        let request = RestoreRequest { backup: "latest:shop".to_owned(), ..RestoreRequest::default() };
        restore(&meddled, &repository, &request)
    };
    // This phase begins when everything was planned, kept and compared.
    let error = put_back("restore").unwrap_err();
    assert_eq!(error.kind(), Kind::Library(chronos_store::ErrorKind::Refused), "{error}");
    let said = "srv/page: it was changed since the restore was planned; nothing was touched";
    assert!(error.to_string().contains(said), "{error}");
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    assert_eq!((text(&page), text(&other)), ("written meanwhile".into(), "defaced too".into()));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);

    let done = put_back("never").unwrap();
    assert_eq!((&*done.status, text(&page), text(&other)), ("completed", "page".into(), "other".into()));
}
