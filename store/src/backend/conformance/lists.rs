//! Lists: order, beginnings, ends, pages.

use super::{Ground, Outcome, bytes, ok, put, same};
use crate::backend::{BackendExt, Entry};

/// Names whose byte order differs from the order of their segments.
const NAMES: [&str; 14] = [
    "a-b", "a.b", "a/b-c", "a/b.c", "a/b/c", "a/b/d", "a/b0", "a0", "b", "log/0", "log/1", "log/10", "log/2",
    "z/z/z/z",
];

const PREFIXES: [&str; 12] =
    ["", "a", "a/", "a/b", "a/b/", "b", "log/", "log/1", "z/z", "c", "log/10", "log/100"];

const AFTER: [Option<&str>; 8] =
    [None, Some(""), Some("a"), Some("a/b"), Some("a/b/c"), Some("a/c"), Some("log/1"), Some("zz")];

/// As many as have no divisor with the number of [`AFTER`], so that every prefix and every beginning meets every limit.
const LIMITS: [usize; 5] = [usize::MAX, 1, 2, 5, 0];

pub(super) fn are_ordered(ground: &Ground) -> Outcome {
    for (n, name) in NAMES.iter().enumerate().rev() {
        put(&*ground.a, name, &bytes(0, n))?;
    }
    let all: Vec<Entry> = (0u64..).zip(NAMES).map(|(size, n)| Entry { name: n.to_owned(), size }).collect();
    let asked = PREFIXES.iter().flat_map(|prefix| AFTER.iter().map(move |after| (*prefix, *after)));
    for ((prefix, after), limit) in asked.zip(LIMITS.into_iter().cycle()) {
        let is_wanted =
            |e: &&Entry| e.name.starts_with(prefix) && after.is_none_or(|after| e.name.as_str() > after);
        let wanted: Vec<Entry> = all.iter().filter(is_wanted).take(limit).cloned().collect();
        let what = format!("list({prefix:?}, {after:?}, {limit})");
        same(&what, &ok(&what, ground.b.list(prefix, after, limit))?, &wanted)?;
    }
    Ok(())
}

pub(super) fn pages_join(ground: &Ground) -> Outcome {
    let a = &ground.a;
    let names: Vec<String> = (0..57).map(|n| format!("packs/s{}/{:02}", n / 20, n)).collect();
    for name in &names {
        put(&**a, name, b"x")?;
    }
    for limit in [7, 19, 20, 57, 58] {
        let mut got: Vec<String> = Vec::new();
        loop {
            let page = ok("list", a.list("packs/", got.last().map(String::as_str), limit))?;
            let full = page.len() == limit;
            got.extend(page.into_iter().map(|e| e.name));
            if !full || got.len() > names.len() {
                break;
            }
        }
        same(&format!("pages of {limit}"), &got, &names)?;
    }
    same("all at once", &ok("list", a.list_all(""))?.len(), &names.len())?;
    let rest = ok("list", a.list_after("packs/", names.get(9).map(String::as_str)))?;
    same("all after one", &rest.len(), &47)
}
