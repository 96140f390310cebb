//! A package of one workflow, as later 2.x imports it: the only way over the API that keeps an id.
//!
//! It carries nodes, connections and settings; static data, pinned data, description and tags are written afterwards.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::n8n::error::Result;

/// Folder of the workflow in the package.
const FOLDER: &str = "workflows/a";

/// Makes a package: a gzipped tar. `body` is what an update would send.
pub(super) fn package(id: &str, stored: &Value, body: &Value) -> Result<Vec<u8>> {
    let field = |key: &str| body.get(key).cloned().unwrap_or_default();
    let name = field("name");
    let manifest = json!({
        "packageFormatVersion": "1",
        "exportedAt": stored.get("updatedAt").cloned().unwrap_or_else(|| json!("1970-01-01T00:00:00.000Z")),
        "sourceN8nVersion": "2.40.7",
        "sourceId": "chronos",
        "workflows": [{"id": id, "name": name, "target": FOLDER}],
    });
    let workflow = json!({
        "id": id, "name": name, "nodes": field("nodes"), "connections": field("connections"),
        "settings": field("settings"),
        "versionId": stored.get("versionId").cloned().unwrap_or_else(|| json!("00000000-0000-4000-8000-000000000000")),
        "parentFolderId": null, "isArchived": false, "tagIds": [],
    });
    let published = json!({"publishedVersionId": null});
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    add(&mut tar, "manifest.json", &manifest)?;
    add(&mut tar, &format!("{FOLDER}/workflow.json"), &workflow)?;
    add(&mut tar, &format!("{FOLDER}/workflow-metadata.json"), &published)?;
    Ok(tar.into_inner()?.finish()?)
}

fn add(tar: &mut tar::Builder<impl Write>, name: &str, value: &Value) -> io::Result<()> {
    let bytes = value.to_string().into_bytes();
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes.as_slice())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::Read;

    use super::*;

    #[test]
    fn a_package_holds_its_manifest_and_the_workflow() {
        let body = json!({"name": "n", "nodes": [1], "connections": {}, "settings": {}});
        let bytes = package("id-1", &json!({"versionId": "v"}), &body).unwrap();
        let mut names = Vec::new();
        for entry in tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice())).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            if name.ends_with("workflow.json") {
                assert_eq!(
                    (value.get("id"), value.get("versionId")),
                    (Some(&json!("id-1")), Some(&json!("v")))
                );
            }
            names.push(name);
        }
        assert_eq!(
            names,
            ["manifest.json", "workflows/a/workflow.json", "workflows/a/workflow-metadata.json"]
        );
    }
}
