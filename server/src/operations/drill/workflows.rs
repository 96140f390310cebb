//! Stored workflows on trial: each is one that an n8n takes, and is what its file says.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use chronos_connect::n8n::{check, id_of_file};
use chronos_snapshot::counted;

use crate::error::{Error, Result};
use crate::operations::drill::files::Restored;
use crate::operations::drill::findings::Findings;

/// The folder of the workflows of a source.
const FOLDER: &str = "workflows";
/// The list of credentials.
const CREDENTIALS: &str = "credentials_metadata.json";

/// Most references that are told one by one.
const LOST_SHOWN: usize = 10;

/// Looks at every stored workflow of a source, and at the list of its credentials.
pub(super) fn stored(place: &Restored, found: &mut Findings) -> Result<()> {
    let (mut ids, mut nodes, mut active, mut named) = (BTreeSet::new(), 0, 0, Vec::new());
    for path in place.files()? {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if name == CREDENTIALS {
            if let Err(why) = list(&path) {
                found.fails(format!("{name}: {why}"));
            }
            continue;
        }
        let is_workflow = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == FOLDER);
        let Some(id) = id_of_file(&name).filter(|_| is_workflow) else { continue };
        match check(open(&path)?) {
            Err(why) => found.fails(format!("workflow {id}: {why}")),
            Ok(facts) if facts.id != id => {
                found.fails(format!("workflow {id}: its file holds workflow {}", facts.id));
            }
            Ok(facts) => {
                nodes += facts.nodes;
                active += usize::from(facts.is_active);
                named.extend(facts.names.into_iter().map(|other| (id.clone(), other)));
                ids.insert(id);
            }
        }
    }
    found.holds(format!(
        "{} with {} read as n8n takes them, {active} active",
        counted(ids.len(), "workflow"),
        counted(nodes, "node")
    ));
    // They may lead nowhere on the live server too: the snapshot is what that was.
    let lost: Vec<String> = named.iter().filter(|(_, other)| !ids.contains(other)).map(arrow).collect();
    if let Some(some) = lost.get(..lost.len().min(LOST_SHOWN)).filter(|some| !some.is_empty()) {
        found.holds(format!(
            "{} lead to workflows that the snapshot does not have: {}{}",
            counted(lost.len(), "reference"),
            some.join(", "),
            if some.len() < lost.len() { ", …" } else { "" }
        ));
    }
    Ok(())
}

fn arrow((from, to): &(String, String)) -> String {
    format!("{from} → {to}")
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::local(path, e))
}

/// The list of credentials is one of objects.
fn list(path: &Path) -> std::result::Result<(), String> {
    let file = open(path).map_err(|e| e.to_string())?;
    let value: serde_json::Value =
        serde_json::from_reader(std::io::BufReader::new(file)).map_err(|e| format!("no JSON: {e}"))?;
    let is_list = value.as_array().is_some_and(|all| all.iter().all(serde_json::Value::is_object));
    if is_list { Ok(()) } else { Err("it is no list of credentials".to_owned()) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
    use chronos_snapshot::TreePath;

    use super::*;

    #[test]
    fn stored_workflows_have_to_be_what_their_files_say() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("workflows")).unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let workflow = |id: &str, nodes: &str| {
            format!(
                r#"{{"id": "{id}", "name": "n", "active": true, "settings": {{}}, "connections": {{}}, "nodes": {nodes}}}"#
            )
        };
        let found = || {
            let roots = vec![TreePath::root()];
            let place = Restored { to: dir.path().to_owned(), path: TreePath::root(), roots };
            let mut found = Findings::default();
            stored(&place, &mut found).unwrap();
            found.proof
        };
        put("workflows/a.json", &workflow("a", r#"[{"name": "N", "type": "t", "parameters": {}}]"#));
        put("credentials_metadata.json", "[]");
        let good = found();
        assert_eq!(good.failures, Vec::<String>::new());
        assert!(good.facts.iter().any(|f| f.contains("1 workflow with 1 node") && f.contains("1 active")));
        assert!(!good.facts.iter().any(|f| f.contains("does not have")));
        let caller = |id: &str| {
            let node = r#"{"name": "C", "type": "n8n-nodes-base.executeWorkflow", "parameters": {"workflowId": {"value": "ID"}}}"#;
            workflow("e", &format!("[{}]", node.replace("ID", id)))
        };
        put("workflows/e.json", &caller("a"));
        assert!(!found().facts.iter().any(|f| f.contains("does not have")));
        put("workflows/e.json", &caller("gone"));
        let led = found();
        assert_eq!(led.failures, Vec::<String>::new());
        assert!(
            led.facts.iter().any(|f| f.starts_with("1 reference") && f.ends_with("e → gone")),
            "{:?}",
            led.facts
        );
        put("workflows/b.json", &workflow("other", "[]"));
        put("workflows/c.json", &workflow("c", "{}"));
        put("workflows/d.json", "{\"id\": \"d\"");
        put("credentials_metadata.json", "{}");
        let said = found().failures.join("\n");
        for part in [
            "workflow b: its file holds workflow other",
            "c: nodes are no list",
            "d: no JSON",
            "no list of cred",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
