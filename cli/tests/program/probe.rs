//! `probe`: what a place is fit for, and that it is left as it was.

use std::fs;

use crate::support::Home;

#[test]
fn a_folder_is_fit_for_many_writers_and_nothing_stays_in_it() {
    let home = Home::new();
    let place = home.path("elsewhere/repository").to_str().unwrap().to_owned();
    let probed = home.run(["probe", &place, "--json"]).code(0).json();
    assert_eq!(probed["verdict"], "many writers");
    assert_eq!(probed["location"], place.as_str());
    let capabilities = probed["capabilities"].as_array().unwrap();
    assert!(
        capabilities.iter().all(|c| c["seen"] == "holds" && c["requests"].as_u64() > Some(0)),
        "{probed}"
    );
    let requests: u64 = capabilities.iter().map(|c| c["requests"].as_u64().unwrap()).sum();
    assert_eq!(probed["requests"].as_u64(), Some(requests));
    assert!(!home.path("elsewhere").exists());
    let table = home.run(["probe", &place]).code(0).stdout;
    assert!(
        table.contains("of racing creates exactly one succeeds") && table.contains("many writers"),
        "{table}"
    );
}

#[test]
fn a_repository_that_lies_there_is_left_alone() {
    let home = Home::with_snapshot();
    let objects = || {
        let mut all: Vec<_> =
            fs::read_dir(home.repository()).unwrap().map(|e| e.unwrap().file_name()).collect();
        all.sort();
        all
    };
    let (before, packs) = (objects(), home.packs());
    assert_eq!(home.run(["probe", "--json"]).code(0).json()["verdict"], "many writers");
    assert_eq!((objects(), home.packs()), (before, packs));
    home.is_sound();
}

#[test]
fn a_place_that_cannot_be_written_is_not_called_fit() {
    let home = Home::new();
    let file = home.file("file", b"no folder");
    let place = file.join("repository");
    let ran = home.run(["probe", place.to_str().unwrap(), "--json"]).code(1);
    assert_eq!(ran.json()["verdict"], "unfit");
    assert!(ran.json()["why"].as_str().unwrap().contains("is not known to hold"));
}
