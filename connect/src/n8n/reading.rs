//! What an n8n source reads before the workflows: version, listing, credentials, tags; and how one workflow is read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use chronos_snapshot::{Item, PathError, SourcePart, Time, TreePath};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::n8n::calls::get;
use crate::n8n::client::Client;
use crate::n8n::credentials::{self, Credential};
use crate::n8n::error::{Error, Result};
use crate::n8n::fetch::Fetched;
use crate::n8n::items::Items;
use crate::n8n::listing::{Listed, list};
use crate::n8n::node;
use crate::n8n::options::Parts;
use crate::n8n::owner;
use crate::n8n::said::Said;
use crate::n8n::version::{Era, ServerVersion};
use crate::n8n::workflow::{canonical, changed_at, file_name, text_of, to_bytes};

/// Reads all that comes before the workflows.
pub(super) struct Reading {
    pub(super) client: Arc<Client>,
    pub(super) said: Said,
    pub(super) folder: TreePath,
    pub(super) workflow: Option<String>,
    pub(super) parts: Parts,
}

/// What comes first, and the workflows that are being read.
pub(super) struct Prepared {
    pub(super) items: Vec<Item>,
    pub(super) workflows: Option<Fetching>,
}

/// A workflow to be read.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    id: String,
    file: String,
}

/// Workflows that are being read: the name of each file, and the workflow unless it is gone.
pub(super) type Fetching = Fetched<Wanted, (String, Result<Option<Read>>)>;

/// A workflow that was read.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    pub(super) time: Time,
}

/// A workflow in the listing: with what its nodes name, for servers that do not list credentials.
#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(default)]
    nodes: Vec<NodeRow>,
}

#[derive(Deserialize)]
struct NodeRow {
    #[serde(default)]
    credentials: Value,
}

impl Listed for Row {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Reading {
    /// Begins to read; the items follow.
    pub(super) fn begin(self) -> Items {
        let (sender, prepared) = sync_channel(1);
        let items = Items::new(&self.folder, self.said.clone(), prepared);
        std::thread::spawn(move || {
            // Nobody listens any more: the backup has ended.
            let _ = sender.send(self.prepare());
        });
        items
    }

    fn prepare(&self) -> Result<Prepared> {
        let version = ServerVersion::ask(&self.client)?;
        self.said.note(version.to_string());
        if let Some(warning) = version.warning() {
            self.said.note(warning);
        }
        if self.workflow.is_none()
            && let Some(warning) = owner::warning(&self.client)
        {
            self.said.note(warning);
        }
        let mut problems = Vec::new();
        let mut named = BTreeSet::new();
        let wanted = self.wanted(version.era, &mut named, &mut problems)?;
        let mut items = vec![node::dir(self.folder.clone())];
        if self.parts.has_credentials() {
            items.push(self.credentials(version.era, named)?);
        }
        let mut workflows = None;
        if self.parts.has_workflows() {
            if self.workflow.is_none() {
                items.push(self.tags()?);
            }
            items.push(node::dir(node::below(&self.folder, "workflows")?));
            let client = Arc::clone(&self.client);
            let threads = client.limits().in_flight;
            let fetched =
                Fetched::start(wanted, threads, move |w: &Wanted| (w.file.clone(), read(&client, &w.id)));
            workflows = Some(fetched);
        }
        items.splice(0..0, problems);
        Ok(Prepared { items, workflows })
    }

    /// The workflows to be read, in the order of their files.
    fn wanted(
        &self,
        era: Era,
        named: &mut BTreeSet<Credential>,
        problems: &mut Vec<Item>,
    ) -> Result<Vec<Wanted>> {
        let needs_nodes = self.parts.has_credentials() && !era.lists_credentials();
        if let Some(id) = &self.workflow {
            return self.only(id, named);
        }
        if !self.parts.has_workflows() && !needs_nodes {
            return Ok(Vec::new());
        }
        let listing = list::<Row>(&self.client, &["workflows"], &[("excludePinnedData", "true")])?;
        if !listing.is_settled {
            let why = "workflows were added and deleted all the while they were listed: some may be missing";
            self.said.incomplete(why);
        }
        let mut wanted = Vec::with_capacity(listing.items.len());
        for row in listing.items.into_values() {
            row.nodes.iter().for_each(|n| credentials::named(&n.credentials, named));
            match file_name(&row.id) {
                Some(file) => wanted.push(Wanted { id: row.id, file }),
                None => problems.push(Item::Problem(PathError {
                    path: format!("/{}/workflows", self.folder),
                    error: format!("the id {:?} is too long for a file name", self.client.clean(&row.id)),
                })),
            }
        }
        wanted.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(wanted)
    }

    /// The one workflow that was asked for.
    fn only(&self, id: &str, named: &mut BTreeSet<Credential>) -> Result<Vec<Wanted>> {
        let missing = || Error::NoWorkflow { server: self.client.server().to_owned(), id: id.to_owned() };
        let file = file_name(id).ok_or_else(missing)?;
        let workflow = get(&self.client, id)?.ok_or_else(missing)?;
        let nodes = workflow.get("nodes").and_then(Value::as_array).into_iter().flatten();
        nodes.filter_map(|n| n.get("credentials")).for_each(|c| credentials::named(c, named));
        Ok(vec![Wanted { id: id.to_owned(), file }])
    }

    fn credentials(&self, era: Era, named: BTreeSet<Credential>) -> Result<Item> {
        let (list, error) = match credentials::listed(&self.client, era)? {
            Ok(list) => (list, None),
            Err(why) => {
                let why = format!("{why}: only those that nodes of workflows name are here");
                (named.into_iter().collect(), Some(why))
            }
        };
        self.file("credentials_metadata.json", "credentials", list.len(), &serde_json::json!(list), error)
    }

    fn tags(&self) -> Result<Item> {
        let (tags, error): (Vec<Value>, _) = match list::<Tag>(&self.client, &["tags"], &[]) {
            Ok(listing) => (listing.items.into_values().map(|t| Value::Object(t.0)).collect(), None),
            Err(error @ (Error::Forbidden { .. } | Error::Refused { .. })) => {
                (Vec::new(), Some(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        self.file("tags.json", "tags", tags.len(), &Value::Array(tags), error)
    }

    fn file(
        &self,
        name: &str,
        kind: &str,
        count: usize,
        value: &Value,
        error: Option<String>,
    ) -> Result<Item> {
        let path = node::below(&self.folder, name)?;
        let mut value = value.clone();
        value.sort_all_objects();
        let bytes = to_bytes(&value);
        self.said.part(SourcePart {
            file: path.to_string(),
            kind: kind.to_owned(),
            count: Some(count as u64),
            size: Some(bytes.len() as u64),
            error,
        });
        Ok(node::file(path, bytes, Time::default()))
    }
}

/// A tag with all that its server says of it.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Tag(Map<String, Value>, String);

impl TryFrom<Value> for Tag {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, &'static str> {
        let id = text_of(&value, "id").ok_or("a tag without an id")?.into_owned();
        match value {
            Value::Object(fields) => Ok(Self(fields, id)),
            _ => Err("a tag that is no object"),
        }
    }
}

impl Listed for Tag {
    fn id(&self) -> &str {
        &self.1
    }
}

fn read(client: &Client, id: &str) -> Result<Option<Read>> {
    let Some(value) = get(client, id)? else { return Ok(None) };
    let time = changed_at(&value);
    Ok(Some(Read { bytes: to_bytes(&canonical(value)), time }))
}
