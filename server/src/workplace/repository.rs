//! Opening the repository that is meant, and making it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_remote as remote;
use chronos_store::backend::{Backend, BackendError};
use chronos_store::{CreateOptions, ErrorKind, OpenOptions, Repository, Secret};

use crate::error::{Error, Kind, Result};
use crate::workplace::location::{Origin, check_free, shown_place};
use crate::workplace::secret::{Given, Opener};
use crate::workplace::{Workplace, key_file};

/// Object that every repository has.
pub(crate) const CONFIG_OBJECT: &str = "config";
/// Areas that hold something as soon as a repository was used.
const WRITTEN_AREAS: [&str; 3] = ["snap/", "packs/", "log/"];

/// An opened repository, and how it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The repository.
    pub repository: Repository,
    /// What opened it.
    pub key: Key,
}

/// What opened a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// What somebody named or typed.
    Given,
    /// A key file that somebody named and that others than its owner may read.
    Exposed(PathBuf),
    /// A key file of this user's folder.
    Own(PathBuf),
    /// The repository was made in this run, with this new key file if with any.
    New(Option<PathBuf>),
}

/// A new repository and the key file that was made for it.
#[derive(Debug)]
pub struct Created {
    /// The repository.
    pub repository: Repository,
    /// The key file, if this run made one.
    pub key_file: Option<PathBuf>,
}

impl Workplace {
    /// Opens the repository that is meant.
    ///
    /// # Errors
    /// [`Error::NoSecret`] where a person could be asked for a password; [`Workplace::open_with`] takes it.
    pub fn open(&self) -> Result<Opened> {
        if !exists(&*self.backend()?)? {
            return Err(Error::NoRepository {
                location: self.location.shown(),
                is_own: self.location.origin == Origin::Default,
            });
        }
        self.open_at(&self.location.place)
    }

    /// Opens the repository that is meant; makes it first if it is this user's own and not there yet.
    pub fn open_or_create(&self) -> Result<Opened> {
        if self.location.origin != Origin::Default || exists(&*self.backend()?)? {
            return self.open();
        }
        match self.create(self.given()?, &CreateOptions::default()) {
            Ok(Created { repository, key_file }) => Ok(Opened { repository, key: Key::New(key_file) }),
            // Another first backup was faster.
            Err(_) if exists(&*self.backend()?)? => self.open(),
            Err(error) => Err(error),
        }
    }

    /// Opens the repository at a place where there is one.
    ///
    /// A secret that an option, a variable or a credential names is the one that is meant. One of the configuration may be of another
    /// repository, or not be there any more: then a key file of this user opens it too.
    pub fn open_at(&self, place: &remote::Location) -> Result<Opened> {
        if let Some(named) = self.named()? {
            return self.open_given(place, &named);
        }
        let configured = self.configured().transpose().map(|given| self.open_given(place, &given?));
        let unopened = match configured {
            None => None,
            Some(Err(error)) if is_no_secret(&error) => Some(error),
            Some(opened) => return opened,
        };
        let backend = self.backend_at(place)?;
        if let Some(opened) = self.open_with_own_keys(&backend, &self.open_options())? {
            return Ok(opened);
        }
        let none = || Error::NoSecret {
            repository: shown_place(place),
            keys: self.places.keys().display().to_string(),
        };
        Err(unopened.unwrap_or_else(none))
    }

    /// Opens another repository than the one that is meant, whose secret is its own: what `opener` names, `CHRONOS_TO_PASSWORD`,
    /// `CHRONOS_TO_PASSWORD_FILE` and `CHRONOS_TO_KEY_FILE`, or a key file of this user.
    ///
    /// # Errors
    /// [`Error::NoSecret`] where a person could be asked for a password; [`Workplace::open_with`] takes it.
    pub fn open_other(&self, place: &remote::Location, opener: &Opener) -> Result<Opened> {
        let backend = self.backend_at(place)?;
        if !exists(&*backend)? {
            return Err(Error::NoRepository { location: shown_place(place), is_own: false });
        }
        if let Some(given) = opener.named("CHRONOS_TO_", &self.variables)? {
            return self.open_given(place, &given);
        }
        let opened = self.open_with_own_keys(&backend, &self.open_options())?;
        opened.ok_or_else(|| Error::NoOtherSecret {
            repository: shown_place(place),
            keys: self.places.keys().display().to_string(),
        })
    }

    fn open_given(&self, place: &remote::Location, given: &Given) -> Result<Opened> {
        let key = match given {
            Given::Key(file) if key_file::is_exposed(file) => Key::Exposed(file.clone()),
            _ => Key::Given,
        };
        Ok(Opened { repository: self.open_with(place, &given.secret()?)?, key })
    }

    /// Opens the repository at a place with this secret.
    pub fn open_with(&self, place: &remote::Location, secret: &Secret) -> Result<Repository> {
        Ok(Repository::open(self.backend_at(place)?, secret, self.open_options())?)
    }

    /// Tries the key files of this user.
    fn open_with_own_keys(
        &self,
        backend: &Arc<dyn Backend>,
        options: &OpenOptions,
    ) -> Result<Option<Opened>> {
        let mut waiting = key_file::list(&self.places.keys())?;
        let mut damage = None;
        while let Some(file) = waiting.pop() {
            let key = match key_file::read(&file) {
                Ok(key) => key,
                // The process that makes it has just given it its last name.
                Err(_) if !file.exists() => {
                    waiting = key_file::list(&self.places.keys())?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match Repository::open(Arc::clone(backend), &Secret::Key(key), options.clone()) {
                Err(e) if e.kind() == ErrorKind::WrongKey => {}
                // Also the key of an interrupted attempt to make this repository; another one may be the right one.
                Err(e) if e.kind() == ErrorKind::Damaged => damage = Some(e),
                opened => return Ok(Some(Opened { repository: opened?, key: Key::Own(file) })),
            }
        }
        damage.map_or(Ok(None), |e| Err(e.into()))
    }

    /// Refuses a place on which a repository cannot rely. One on this host's own disks is known to be fit; of any other nothing is believed
    /// that was not tried.
    fn check_fit(&self, backend: &dyn Backend) -> Result<()> {
        // That there is a repository already is said when one is made.
        if exists(backend)? { Ok(()) } else { self.check_place() }
    }

    /// The same, whatever is there.
    pub(crate) fn check_place(&self) -> Result<()> {
        let place = &self.location.place;
        if !remote::is_remote(place) {
            return Ok(());
        }
        let report = self.probe(place, remote::Depth::Core)?;
        if let Some(left) = &report.left {
            self.monitor.problem(&format!("something of a probe is still there below probe/: {left}"));
        }
        let location = shown_place(place);
        match report.verdict() {
            (remote::Suitability::ManyWriters, _) => Ok(()),
            (remote::Suitability::SingleMaintainer, why) => Err(Error::Overwrites { location, why }),
            (remote::Suitability::Unfit, why) => Err(Error::Unfit { location, why }),
        }
    }

    /// Creates the repository that is meant, with the secret that was given or a new key file.
    pub fn create(&self, given: Option<Given>, create: &CreateOptions) -> Result<Created> {
        check_free(&self.location.place)?;
        let backend = self.backend()?;
        self.check_fit(&*backend)?;
        let options = self.open_options();
        let location = self.location.shown();
        match given {
            Some(Given::Key(file)) if !file.exists() => {
                let key = self.env.random_bytes()?;
                let repository = create_with_key(backend, key, &file, &location, create, options)?;
                Ok(Created { repository, key_file: Some(file) })
            }
            Some(given) => {
                let repository = Repository::create(backend, &given.secret()?, create, options)?;
                Ok(Created { repository, key_file: None })
            }
            None => {
                let folder = self.places.keys();
                let draft = folder.join(format!("{}.key", hex::encode(self.env.random_bytes::<8>()?)));
                let key = self.env.random_bytes()?;
                let repository = create_with_key(backend, key, &draft, &location, create, options)?;
                let file = folder.join(format!("{}.key", repository.id()));
                key_file::rename(&draft, &file)?;
                Ok(Created { repository, key_file: Some(file) })
            }
        }
    }
}

/// The key is safe on disk before anything is sealed with it, and stays there once a repository may need it.
fn create_with_key(
    backend: Arc<dyn Backend>,
    key: key_file::Key,
    file: &Path,
    location: &str,
    create: &CreateOptions,
    options: OpenOptions,
) -> Result<Repository> {
    key_file::create(file, &key, location)?;
    match Repository::create(Arc::clone(&backend), &Secret::Key(key), create, options) {
        Ok(repository) => Ok(repository),
        Err(error) => {
            // What failed last may have failed when the repository was there already.
            if error.kind() == ErrorKind::Exists || matches!(exists(&*backend), Ok(false)) {
                key_file::remove(file)?;
            }
            Err(error.into())
        }
    }
}

/// Whether a secret was not to be had, or opens something else.
fn is_no_secret(error: &Error) -> bool {
    matches!(error, Error::Secret { .. } | Error::EmptyPassword { .. } | Error::NoKeyFile { .. })
        || error.kind() == Kind::Library(ErrorKind::WrongKey)
}

/// Whether there is a repository. One that has lost its config is damaged, which is not the same as none.
pub fn exists(backend: &dyn Backend) -> Result<bool> {
    let failed = |error: BackendError| Error::from(chronos_store::Error::from(error));
    match backend.stat(CONFIG_OBJECT) {
        Ok(_) => return Ok(true),
        Err(BackendError::NotFound(_)) => {}
        Err(error) => return Err(failed(error)),
    }
    // A key slot alone was left by an attempt to make a repository.
    for area in WRITTEN_AREAS {
        if !backend.list(area, None, 1).map_err(failed)?.is_empty() {
            return Err(chronos_store::Error::missing(CONFIG_OBJECT).into());
        }
    }
    Ok(false)
}
