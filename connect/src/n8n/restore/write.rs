//! How one workflow is written over the API.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::n8n::calls;
use crate::n8n::client::Client;
use crate::n8n::error::{Error, Result};
use crate::n8n::restore::body::{Aim, Settings, body};
use crate::n8n::restore::compare::{has_own_published_version, tag_names};
use crate::n8n::restore::package::package;
use crate::n8n::version::Era;
use crate::n8n::workflow::{flag, published_beside, text_of};

/// Writes to one server; remembers its tags.
pub(super) struct Writer<'c> {
    pub(super) client: &'c Client,
    pub(super) era: Era,
    pub(super) tags: BTreeMap<String, String>,
}

/// What writing came to.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What the server did not take.
    pub(super) lost: Vec<String>,
    /// Version that is to be published, if it is not the one in the editor.
    pub(super) publish: Option<String>,
}

/// Why a workflow is not written.
#[derive(Debug)]
pub(super) struct NotWritten {
    /// With the state in which it was left.
    pub(super) why: String,
    /// Whether the next one would fail like it.
    pub(super) is_of_the_server: bool,
    /// The status that n8n answered.
    pub(super) status: Option<u16>,
}

impl From<Error> for NotWritten {
    fn from(error: Error) -> Self {
        Self {
            is_of_the_server: error.is_of_the_server(),
            status: error.upstream_status(),
            why: error.to_string(),
        }
    }
}

impl Writer<'_> {
    /// Makes a workflow; with its id where packages can be imported. Gives its id on the server.
    pub(super) fn create(&self, stored: &Value, id: &str) -> Result<String> {
        let body = body(stored, self.era, Aim::Create, Settings::Known);
        if self.era >= Era::Late2 {
            match calls::import_package(self.client, &package(id, stored, &body.value)?) {
                Ok(_) => return Ok(id.to_owned()),
                // Packages are not a settled part of the API; a new id is better than nothing.
                Err(Error::Refused { .. } | Error::Forbidden { .. } | Error::NotJson { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let made = match calls::create(self.client, &body.value) {
            Err(error) if is_about_settings(&error) => {
                let body = self::body(stored, self.era, Aim::Create, Settings::Oldest);
                calls::create(self.client, &body.value)?
            }
            made => made?,
        };
        text_of(&made, "id").map(std::borrow::Cow::into_owned).ok_or_else(|| Error::Unexpected {
            server: self.client.server().to_owned(),
            what: "POST /workflows".to_owned(),
            why: "no id".to_owned(),
        })
    }

    /// Writes a workflow over the live one, which is inactive afterwards. If the server refuses it, the live one is put back.
    pub(super) fn update(&mut self, stored: &Value, id: &str, live: &Value) -> Result<Written, NotWritten> {
        let was_active = flag(live, "active");
        let error = match self.overwrite(stored, id, live, was_active) {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        let state = match self.put_back(id, live, was_active) {
            Ok(()) => "it is as it was before".to_owned(),
            Err(undo) if was_active => {
                format!(
                    "putting it back failed too ({undo}): it was active before and may be inactive and changed now"
                )
            }
            Err(undo) => format!("putting it back failed too ({undo}): it may be changed"),
        };
        let why = format!("{error}; {state}");
        Err(NotWritten { why, ..NotWritten::from(error) })
    }

    fn overwrite(&mut self, stored: &Value, id: &str, live: &Value, was_active: bool) -> Result<Written> {
        if flag(live, "isArchived") && self.era >= Era::Late2 {
            calls::set_archived(self.client, id, false)?;
        }
        if was_active {
            calls::deactivate(self.client, id)?;
        }
        let mut written = Written::default();
        if self.era >= Era::Early2 && has_own_published_version(stored) {
            let answer = self.put(&as_published(stored), id, live)?.0;
            written.publish = text_of(&answer, "versionId").map(std::borrow::Cow::into_owned);
        }
        written.lost = self.put(stored, id, live)?.1;
        self.tag(stored, id)?;
        if flag(stored, "isArchived") && self.era >= Era::Late2 {
            calls::set_archived(self.client, id, true)?;
        }
        Ok(written)
    }

    fn put(&self, stored: &Value, id: &str, live: &Value) -> Result<(Value, Vec<String>)> {
        let made = body(stored, self.era, Aim::Update(live), Settings::Known);
        match calls::update(self.client, id, &made.value) {
            Err(error) if is_about_settings(&error) => {
                let made = body(stored, self.era, Aim::Update(live), Settings::Oldest);
                Ok((calls::update(self.client, id, &made.value)?, made.lost))
            }
            answer => Ok((answer?, made.lost)),
        }
    }

    /// Gives a workflow the tags of the stored one; makes those that are missing.
    pub(super) fn tag(&mut self, stored: &Value, id: &str) -> Result<()> {
        let mut ids = Vec::new();
        for name in tag_names(stored) {
            let tag = match self.tags.get(name) {
                Some(id) => id.clone(),
                None => calls::create_tag(self.client, name)?,
            };
            self.tags.insert(name.to_owned(), tag.clone());
            ids.push(tag);
        }
        calls::set_tags(self.client, id, &ids)
    }

    /// A refused body may have been saved all the same.
    fn put_back(&mut self, id: &str, live: &Value, was_active: bool) -> Result<()> {
        let now = calls::get(self.client, id)?;
        if now.as_ref().is_some_and(|now| flag(now, "active")) {
            calls::deactivate(self.client, id)?;
        }
        self.put(live, id, &now.unwrap_or_default())?;
        self.tag(live, id)?;
        if flag(live, "isArchived") && self.era >= Era::Late2 {
            calls::set_archived(self.client, id, true)?;
        }
        if was_active { calls::activate(self.client, id, published_beside(live)) } else { Ok(()) }
    }
}

/// A stored workflow with what is published in the place of what is in the editor.
pub(super) fn as_published(stored: &Value) -> Value {
    let mut published = stored.clone();
    for key in ["nodes", "connections", "nodeGroups"] {
        let field = stored.get("activeVersion").and_then(|v| v.get(key));
        if let (Some(fields), Some(field)) = (published.as_object_mut(), field) {
            fields.insert(key.to_owned(), field.clone());
        }
    }
    published
}

/// Whether a refusal may be about a setting that this server does not know.
fn is_about_settings(error: &Error) -> bool {
    matches!(error, Error::Refused { status: 400, said, .. }
        if said.contains("settings") || said.contains("additional properties") || said.contains("Unrecognized"))
}
