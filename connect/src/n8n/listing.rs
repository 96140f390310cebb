//! All ids that a server has, though its listing is an unordered offset that moves while it is read.
//!
//! A workflow that is deleted between two pages moves those behind it, and one of them is skipped. So passes are made
//! until one holds all that the pass before it held: a deletion that made a pass skip something shows as an id of that
//! pass that is gone in the next. What any pass showed is in the result; who reads it finds out what is gone.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::n8n::client::{Call, Client};
use crate::n8n::error::{Error, Result};
use crate::n8n::options::PAGE;

/// Passes before a listing that never holds still is taken as the union of what was seen.
const PASSES_MAX: u32 = 8;
/// Pages of one pass: 10 million items; a listing that goes on longer has no end.
const PAGES_MAX: u32 = 40_000;

/// What was listed.
#[derive(Debug)]
pub(super) struct Listing<T> {
    /// By id, as they were seen last.
    pub(super) items: BTreeMap<String, T>,
    /// Whether the server held still long enough for a whole pass.
    pub(super) is_settled: bool,
}

/// An item of a listing.
pub(super) trait Listed: for<'de> Deserialize<'de> {
    /// Its id.
    fn id(&self) -> &str;
}

/// Lists until the result is whole. One page alone is one query of the server and needs no second pass.
pub(super) fn list<T: Listed>(client: &Client, path: &[&str], query: &[(&str, &str)]) -> Result<Listing<T>> {
    let mut items = BTreeMap::new();
    let mut before: Option<BTreeSet<String>> = None;
    for _ in 0..PASSES_MAX {
        let pass = pass(client, path, query, &mut items)?;
        let is_settled = pass.pages == 1
            || (!pass.has_doubles && before.is_some_and(|before| before.is_subset(&pass.ids)));
        if is_settled {
            return Ok(Listing { items, is_settled });
        }
        before = Some(pass.ids);
    }
    Ok(Listing { items, is_settled: false })
}

struct Pass {
    ids: BTreeSet<String>,
    /// An item came twice: what lies before the position has moved.
    has_doubles: bool,
    pages: u32,
}

fn pass<T: Listed>(
    client: &Client,
    path: &[&str],
    query: &[(&str, &str)],
    items: &mut BTreeMap<String, T>,
) -> Result<Pass> {
    let limit = client.limits().page.clamp(1, PAGE).to_string();
    let mut pass = Pass { ids: BTreeSet::new(), has_doubles: false, pages: 0 };
    let mut cursor: Option<String> = None;
    loop {
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        if let Some(cursor) = &cursor {
            query.push(("cursor", cursor));
        }
        let call = Call { query: &query, ..Call::get(path) };
        let page: Page<T> = client.json(&call)?;
        pass.pages += 1;
        for item in page.data {
            if item.id().is_empty() {
                return Err(unexpected(client, &call, "an item without an id"));
            }
            pass.has_doubles |= !pass.ids.insert(item.id().to_owned());
            items.insert(item.id().to_owned(), item);
        }
        match page.next_cursor.filter(|c| !c.is_empty()) {
            None => return Ok(pass),
            Some(next) if cursor.as_ref() == Some(&next) || pass.pages >= PAGES_MAX => {
                return Err(unexpected(client, &call, "a listing without an end"));
            }
            next => cursor = next,
        }
    }
}

fn unexpected(client: &Client, call: &Call<'_>, why: &str) -> Error {
    Error::Unexpected { server: client.server().to_owned(), what: call.shown(), why: why.to_owned() }
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Page<T> {
    data: Vec<T>,
    #[serde(rename = "nextCursor", default)]
    next_cursor: Option<String>,
}
