//! The commands: one file each, with its options and help text, and `run`.
//!
//! `catalog` is what most of them begin with: the opened repository and its list of snapshots.

mod backup;
mod cat;
mod catalog;
mod check;
mod cleanup;
mod completions;
mod config;
mod copy;
mod delete;
mod diff;
mod doctor;
mod drill;
mod emergency;
mod export;
mod find;
mod forget;
mod history;
mod hold;
mod init;
mod jobs;
mod keys;
mod kit;
mod ls;
mod man;
mod marks;
mod probe;
mod prune;
mod recover;
mod repair;
mod restore;
mod restored;
mod rewrite;
mod rollback;
mod schedule;
mod serve;
mod snapshots;
mod stats;
mod sync;
mod tag;
mod targets;
mod tokens;
mod undelete;
mod undo;
mod verify;
mod versions;

use clap::Subcommand;

use crate::context::App;
use crate::error::{Exit, Failure};

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Backup(Box<backup::Backup>),
    Snapshots(snapshots::Snapshots),
    Ls(ls::Ls),
    Find(find::Find),
    Cat(cat::Cat),
    Diff(diff::Diff),
    Versions(versions::Versions),
    Restore(restore::Restore),
    Rollback(rollback::Rollback),
    History(history::History),
    Export(export::Export),
    Undo(undo::Undo),
    Recover(recover::Recover),
    Rebuild(recover::Rebuild),
    Emergency(emergency::Emergency),
    Verify(verify::Verify),
    Drill(drill::Drill),
    Check(check::Check),
    Forget(forget::Forget),
    Prune(prune::Prune),
    Cleanup(cleanup::Cleanup),
    Delete(delete::Delete),
    Undelete(undelete::Undelete),
    Hold(hold::Hold),
    Release(hold::Release),
    Tag(tag::Tag),
    Rewrite(rewrite::Rewrite),
    Stats(stats::Stats),
    Probe(probe::Probe),
    Repair(repair::Repair),
    Sync(sync::Sync),
    Copy(copy::Copy),
    Keys(keys::Keys),
    Kit(kit::Kit),
    Config(config::Config),
    Targets(targets::Targets),
    Serve(serve::Serve),
    Tokens(tokens::Tokens),
    Schedule(schedule::Schedule),
    Jobs(jobs::Jobs),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Runs it.
    pub(crate) fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::Init(c) => c.run(app),
            Self::Backup(c) => c.run(app),
            Self::Snapshots(c) => c.run(app),
            Self::Ls(c) => c.run(app),
            Self::Find(c) => c.run(app),
            Self::Cat(c) => c.run(app),
            Self::Diff(c) => c.run(app),
            Self::Versions(c) => c.run(app),
            Self::Restore(c) => c.run(app),
            Self::Rollback(c) => c.run(app),
            Self::History(c) => c.run(app),
            Self::Export(c) => c.run(app),
            Self::Undo(c) => c.run(app),
            Self::Recover(c) => c.run(app),
            Self::Rebuild(c) => c.run(app),
            Self::Emergency(c) => c.run(app),
            Self::Verify(c) => c.run(app),
            Self::Drill(c) => c.run(app),
            Self::Check(c) => c.run(app),
            Self::Forget(c) => c.run(app),
            Self::Prune(c) => c.run(app),
            Self::Cleanup(c) => c.run(app),
            Self::Delete(c) => c.run(app),
            Self::Undelete(c) => c.run(app),
            Self::Hold(c) => c.run(app),
            Self::Release(c) => c.run(app),
            Self::Tag(c) => c.run(app),
            Self::Rewrite(c) => c.run(app),
            Self::Stats(stats::Stats {}) => stats::Stats::run(app),
            Self::Probe(c) => c.run(app),
            Self::Repair(c) => c.run(app),
            Self::Sync(c) => c.run(app),
            Self::Copy(c) => c.run(app),
            Self::Keys(c) => c.run(app),
            Self::Kit(c) => c.run(app),
            Self::Config(c) => c.run(app),
            Self::Schedule(c) => c.run(app),
            Self::Jobs(c) => c.run(app),
            Self::Targets(targets::Targets {}) => targets::Targets::run(app),
            Self::Serve(c) => c.run(app),
            Self::Tokens(c) => c.run(app),
            Self::Doctor(doctor::Doctor {}) => doctor::Doctor::run(app),
            Self::Completions(c) => c.run(app),
            Self::Man(c) => c.run(app),
        }
    }
}
