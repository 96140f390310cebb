//! A workplace of given variables: a repository is made on first use and opened again by its key file.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use chronos_store::{Env, Silent};

use super::*;
use crate::error::Kind;

fn workplace(home: &Path, choices: Choices) -> Workplace {
    let variables = Variables::of([("HOME".to_owned(), home.as_os_str().to_owned())]);
    Workplace::find(choices, variables, Env::system(), Arc::new(Silent)).unwrap()
}

#[test]
fn the_own_repository_is_made_on_first_use_and_opened_by_its_key_file_later() {
    let home = tempfile::tempdir().unwrap();
    let place = workplace(home.path(), Choices::default());
    let made = place.open_or_create().unwrap();
    let Key::New(Some(file)) = made.key else { panic!("{:?}", made.key) };
    drop(made.repository);
    assert_eq!(place.open_or_create().unwrap().key, Key::Own(file));
}

#[test]
fn a_named_repository_is_never_made_by_the_way() {
    let home = tempfile::tempdir().unwrap();
    let repo = Some(home.path().join("repo").to_string_lossy().into_owned());
    let place = workplace(home.path(), Choices { repo, ..Choices::default() });
    let error = place.open_or_create().unwrap_err();
    assert!(matches!(error, Error::NoRepository { is_own: false, .. }), "{error}");
    assert_eq!(error.kind(), Kind::Library(chronos_store::ErrorKind::NoRepository));
}

#[test]
fn without_a_secret_the_caller_is_told_that_one_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let place = workplace(home.path(), Choices::default());
    place.create(Some(Given::Password("word".into())), &chronos_store::CreateOptions::default()).unwrap();
    assert!(matches!(place.open().unwrap_err(), Error::NoSecret { .. }));
    let secret = chronos_store::Secret::Password("word".into());
    assert!(place.open_with(&place.location.place, &secret).is_ok());
}
