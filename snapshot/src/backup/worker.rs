//! A reading thread: takes batches of files, stores their content, answers with their nodes.

use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, PoisonError};

use crate::backup::content::{Cutter, Failure, Known, Shared, class_of};
use crate::backup::file::{self, Folder, Read1, Wanted};
use crate::error::{Error, Result};
use crate::node::{Content, Node, NodeKind};
use crate::path::TreePath;
use crate::source::Names;
use crate::tree::RawEntry;

/// Content to read.
pub(crate) struct Job {
    /// Number of its place.
    pub(crate) number: u64,
    pub(crate) path: TreePath,
    /// As it was listed.
    pub(crate) node: Node,
    /// The entry of the previous snapshot, if that was a file.
    pub(crate) before: Option<RawEntry>,
    pub(crate) task: Task,
}

/// Where the content is.
pub(crate) enum Task {
    /// In the folder of this device and inode.
    File((u64, u64)),
    Bytes(Vec<u8>),
    Stream(Box<dyn Read + Send>),
}

/// What became of a job.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Number of the place.
    pub(crate) number: u64,
    /// `None`: there is nothing to store.
    pub(crate) node: Option<Node>,
    /// What the user has to know.
    pub(crate) problem: Option<String>,
    /// Why a stream could not be read to its end; its source has failed.
    pub(crate) failed: Option<Error>,
    pub(crate) bytes_read: u64,
}

/// The way of answers to the feeder, a batch at a time: waking it for every small file costs more than the file.
pub(crate) type Answers = Sender<Result<Vec<Answer>>>;

/// Works until there are no more jobs, or an error ends the backup; that error is the last answer.
pub(crate) fn run(shared: Shared<'_>, names: &Names, jobs: &Mutex<Receiver<Vec<Job>>>, answers: &Answers) {
    let _alarm = Alarm(answers);
    let mut cutter = Cutter::new(shared);
    let mut folder = Folder::default();
    let mut failed = false;
    loop {
        let batch = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        // No more jobs.
        let Ok(batch) = batch else { break };
        if failed || shared.stop.load(Ordering::Relaxed) {
            // Goes on taking, so that the feeder is never stuck with a full queue.
            continue;
        }
        let done = work(&mut cutter, &mut folder, names, batch);
        failed = done.is_err();
        // Whoever no longer listens has an error of its own.
        let _ = answers.send(done);
    }
    // Also after an error: what is sealed now need not be stored again by the next backup.
    let finished = cutter.finish().map(|()| Vec::new());
    // As above; and of two errors the first counts.
    let _ = if failed { Ok(()) } else { answers.send(finished) };
}

/// Tells the feeder when its thread ends by a defect, so that it does not wait for an answer that never comes.
struct Alarm<'a>(&'a Answers);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nobody listens any more: the backup has ended.
            let _ = self.0.send(Err(lost()));
        }
    }
}

/// A thread is gone without a word, which only a defect can do.
pub(crate) fn lost() -> Error {
    Error::Refused("a reading thread ended early; nothing was committed".to_owned())
}

fn work(cutter: &mut Cutter<'_>, folder: &mut Folder, names: &Names, batch: Vec<Job>) -> Result<Vec<Answer>> {
    let mut answers = Vec::with_capacity(batch.len());
    // The cutter's numbers of the files that were stored, rising, with the places of their answers.
    let mut files = Vec::with_capacity(batch.len());
    for job in batch {
        let number = job.number;
        let before = cutter.bytes_read;
        let mut answer = match one(cutter, folder, names, job) {
            Ok(answer) => answer,
            Err(Failure::Fatal(e)) => return Err(e),
            Err(Failure::Read(e)) => return Err(Error::file("a file", e)),
        };
        answer.number = number;
        answer.bytes_read = cutter.bytes_read - before;
        if answer.node.is_some() {
            files.push((cutter.file, answers.len()));
        }
        answers.push(answer);
    }
    for (spot, chunk) in cutter.settle()? {
        // A file that is not there was read in vain.
        let Ok(at) = files.binary_search_by_key(&spot.file, |(file, _)| *file) else { continue };
        let answer = files.get(at).and_then(|(_, at)| answers.get_mut(*at));
        if let Some(Answer { node: Some(Node { kind: NodeKind::File(content), .. }), .. }) = answer {
            spot.resolve(&mut content.extents, chunk);
        }
    }
    Ok(answers)
}

/// The error of a stream, as its source made it if it did.
fn broken(path: &TreePath, error: io::Error) -> Error {
    error.downcast().unwrap_or_else(|source| Error::File { path: format!("/{path}"), source })
}

fn one(cutter: &mut Cutter<'_>, held: &mut Folder, names: &Names, job: Job) -> Result<Answer, Failure> {
    let Job { path, mut node, before, task, .. } = job;
    let before = before.as_ref();
    let mut stream: Box<dyn Read + Send> = match task {
        Task::File(folder) => {
            let wanted = Wanted { path: &path, node: &node, folder, before };
            return Ok(answer(file::read(cutter, held, names, wanted)?));
        }
        Task::Bytes(bytes) => Box::new(std::io::Cursor::new(bytes)),
        Task::Stream(stream) => stream,
    };
    let mut extents = cutter.begin(before);
    // A stream's size is not known, so that its class rests on its name and its head alone.
    let known = Known { class: before.and_then(class_of), name: path.name(), size: None };
    let class = match cutter.store(&mut stream, known, &mut extents) {
        Ok(class) => class,
        Err(Failure::Read(e)) => return Ok(Answer { failed: Some(broken(&path, e)), ..Answer::default() }),
        Err(fatal) => return Err(fatal),
    };
    let size = extents.len;
    node.kind = NodeKind::File(Content { class, size, extents: extents.list });
    Ok(Answer { node: Some(node), ..Answer::default() })
}

fn answer(read: Read1) -> Answer {
    match read {
        Read1::Stored(node, problem) => Answer { node: Some(node), problem, ..Answer::default() },
        Read1::Vanished => Answer::default(),
        Read1::Failed(problem) => Answer { problem: Some(problem), ..Answer::default() },
    }
}
