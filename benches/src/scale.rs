//! Repositories of very many chunks, made of tiny ones that are really stored: what listing, backup, check and prune cost by their
//! number alone.
//!
//! Everything is written through the libraries' own calls, so that every command of the program works on what comes out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use chronos_snapshot::{Content, Extent, Manifest, Node, NodeKind, Time, TreeBuilder, TreePath};
use chronos_store::backend::LocalBackend;
use chronos_store::{
    ChunkClass, ChunkId, ChunkKind, Env, LocalDirs, OpenOptions, Repository, Secret, Session, SessionOptions,
    Silent,
};

use crate::measure::Step;
use crate::tools::{Action, Tool};

/// Snapshots of a repository; their chunks are different ones.
const SNAPSHOTS: u64 = 10;
/// Chunks of a pack of data: as many as 16 MiB have on average.
const PACK_CHUNKS: u64 = 1024;
/// Chunks of a file.
const FILE_CHUNKS: usize = 64;
/// Bytes of a chunk.
const CHUNK_BYTES: u32 = 8;

/// Makes a repository of `chunks` chunks in `place` and measures commands on it, each as a process of its own. A line is printed
/// as soon as a command ends: with very many chunks the next one may take an hour.
pub(crate) fn run(tool: &Tool, chunks: u64, place: &Path) -> Result<()> {
    let data = place.join("in");
    std::fs::create_dir_all(&data)?;
    std::fs::File::create(data.join("file"))?.write_all(b"a file\n")?;
    tool.init(place)?;
    fill(place, chunks)?;
    let step = |name, line| print(chunks, &tool.step(name, &Action::Line(line), place, chunks)?);
    let backup = |name| print(chunks, &tool.step(name, &Action::Backup(&data), place, chunks)?);
    step("list, nothing cached", "$P -q snapshots")?;
    step("list", "$P -q snapshots")?;
    backup("back up one file")?;
    step("check, no data", "$P -q check")?;
    step("delete one snapshot", "$P -q delete scale_manual_20260101_000000")?;
    step("prune", "$P -q prune")?;
    step("prune again", "$P -q prune")?;
    backup("back up one file after it")
}

fn fill(place: &Path, chunks: u64) -> Result<()> {
    let folder = place.join("builder");
    let options = OpenOptions {
        dirs: LocalDirs { cache: folder.join("cache"), state: folder.join("state") },
        env: Env::system(),
        monitor: Arc::new(Silent),
    };
    let backend = Arc::new(LocalBackend::new(place.join("repository")));
    let repository = Repository::open(backend, &Secret::Key(key(place)?), options)?;
    // All begin before there is anything: what each writes is not looked up in what the others wrote.
    let begin = |_| repository.begin(SessionOptions { client: "scale".to_owned(), level: 1 });
    let sessions = (0..SNAPSHOTS).map(begin).collect::<chronos_store::Result<Vec<_>>>()?;
    for (number, session) in sessions.into_iter().enumerate() {
        snapshot(session, number as u64, chunks / SNAPSHOTS)?;
    }
    Ok(())
}

/// The key that `init` made.
fn key(place: &Path) -> Result<[u8; 32]> {
    let text = std::fs::read_to_string(place.join("key"))?;
    let line = text.lines().find(|l| l.len() == 64).context("the key file has no key")?;
    let digits = |at: usize| line.get(2 * at..2 * at + 2).and_then(|d| u8::from_str_radix(d, 16).ok());
    let mut key = [0; 32];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = digits(at).context("the key file has no key")?;
    }
    Ok(key)
}

/// Packs of tiny chunks, a tree of files that consist of them, a snapshot.
fn snapshot(session: Session, number: u64, chunks: u64) -> Result<()> {
    let mut ids: Vec<ChunkId> = Vec::with_capacity(chunks as usize);
    while (ids.len() as u64) < chunks {
        let mut writer = session.writer(ChunkKind::Data);
        for _ in 0..PACK_CHUNKS.min(chunks - ids.len() as u64) {
            let value = number << 48 | ids.len() as u64;
            ids.push(writer.put(&value.to_le_bytes())?.id);
        }
        writer.finish()?;
        session.flush()?;
    }
    let mut tree = TreeBuilder::new(&session);
    let mut files = 0;
    for (at, ids) in ids.chunks(FILE_CHUNKS).enumerate() {
        tree.add(&TreePath::new(format!("data{number}-{at:09}"))?, &file(ids))?;
        files += 1;
    }
    let tree = tree.finish()?;
    let manifest = manifest(number, tree, files, chunks);
    session.commit(&[tree], &serde_json::to_vec(&manifest)?)?;
    Ok(())
}

fn file(ids: &[ChunkId]) -> Node {
    let extents: Vec<Extent> = ids.iter().map(|id| Extent::Data { id: *id, len: CHUNK_BYTES }).collect();
    let size = u64::from(CHUNK_BYTES) * extents.len() as u64;
    Node {
        kind: NodeKind::File(Content { class: ChunkClass::Std, size, extents }),
        mode: 0o644,
        uid: 0,
        gid: 0,
        user: None,
        group: None,
        mtime: Time::default(),
        ctime: Time::default(),
        dev: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    }
}

fn manifest(number: u64, tree: ChunkId, files: u64, chunks: u64) -> Manifest {
    Manifest {
        v: 1,
        backup_id: format!("scale_manual_202601{:02}_000000", number + 1),
        name: None,
        target: "scale".to_owned(),
        tier: "manual".to_owned(),
        backup_type: "full".to_owned(),
        created_at: format!("2026-01-{:02}T00:00:00Z", number + 1),
        began_at: None,
        duration_ms: 0,
        host: "scale".to_owned(),
        user: String::new(),
        paths: vec!["/".to_owned()],
        description: String::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        status: "completed".to_owned(),
        unchanged: false,
        scope: Vec::new(),
        sources: Vec::new(),
        parent: None,
        tree,
        report: None,
        errors: Vec::new(),
        error_count: 0,
        files,
        dirs: 0,
        size_bytes: chunks * u64::from(CHUNK_BYTES),
        added_bytes: 0,
        program: "bench".to_owned(),
        received_at: None,
        signature: None,
    }
}

/// Prints what one command took.
fn print(chunks: u64, step: &Step) -> Result<()> {
    let Step { name, wall, cpu, .. } = step;
    let (peak, stored) = (step.rss_kib as f64 / 1024.0, step.stored as f64 / 1e6);
    let mut out = std::io::stdout().lock();
    writeln!(out, "| {chunks} | {name} | {wall:.2} | {cpu:.2} | {peak:.0} | {stored:+.1} |")?;
    Ok(())
}
