//! One run: the seed chooses who goes on at every call, what becomes of the call, and what happens besides.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chronos_store::backend::{Backend, Durability, MemoryBackend, Method};
use chronos_store::{CreateOptions, Env, Error, ErrorKind, Repository, SessionId};

use super::client::{Client, Deed, Truths, chain, options};
use super::dice::{Bytes, Dice};
use super::mutant::Mutant;
use super::proof::{self, Keeper};
use super::stage::{Call, Fate, Stage};
use super::time::{HOUR, HostClock, SECOND, Time};
use super::tree::Tree;
use super::truth::Known;
use super::wire::{Change, Post, Wire};
use crate::fixture::KEY;

const CLIENTS: usize = 3;
/// Deeds of a run, all clients together.
const DEEDS: u64 = 24;
/// Calls after which a run is cut short.
const CALLS_MAX: usize = 20_000;

/// What a run was like.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Every call with its fate, and what happened besides, in order.
    pub(super) trace: Vec<String>,
    /// Deeds that were done, and those that failed.
    pub(super) done: Vec<Deed>,
    pub(super) failed: Vec<String>,
}

/// What did not hold, and how it came to be.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) trace: Vec<String>,
}

/// How much goes wrong.
#[derive(Clone, Copy, Debug)]
struct Weather {
    /// One call in so many fails in one way or another; none if 0.
    faults: u64,
    /// One call in so many is its client's last.
    deaths: u64,
    /// Time jumps once in so many calls.
    jumps: u64,
    /// Versions of each file: of few, content that was forgotten comes back soon.
    versions: u64,
    /// How often is forgotten and pruned, where 40 is how often is backed up.
    tidiness: [u64; 2],
    /// A client is left in favour of another once in so many calls.
    turns: u64,
}

/// A deed that is under way.
type Work = JoinHandle<(Client, chronos_store::Result<()>)>;

struct Seat {
    clock: Arc<HostClock>,
    /// None while it does something.
    client: Option<Client>,
    work: Option<(Deed, usize, Work)>,
    call: Option<Call>,
    /// A fault has struck since its deed began.
    is_struck: bool,
    is_dead: bool,
    /// How willingly it is chosen.
    weight: u64,
}

impl Seat {
    fn does(&self, deed: Deed) -> bool {
        self.work.as_ref().is_some_and(|work| work.0 == deed)
    }
}

struct Run<'a> {
    dice: Dice,
    seed: u64,
    weather: Weather,
    time: Arc<Time>,
    stage: Arc<Stage>,
    post: Arc<Post>,
    truths: Truths,
    places: [MemoryBackend; 2],
    /// The places as clients have them.
    served: [Arc<dyn Backend>; 2],
    seats: Vec<Seat>,
    folder: &'a Path,
    env: Env,
    deeds_left: u64,
    /// Somebody has begun to make the mirror independent: no sync any more.
    is_promoting: bool,
    is_promoted: bool,
    /// What the mirror must show as long as it is required.
    due: Vec<(Known, SessionId)>,
    report: Report,
}

/// Does one run; `folder` is empty.
pub(super) fn run(seed: u64, mutant: Mutant, folder: &Path) -> Result<Report, Failure> {
    let mut run = Run::new(seed, mutant, folder);
    let outcome = run.play().and_then(|()| run.settle());
    let trace = std::mem::take(&mut run.report.trace);
    match outcome {
        Ok(()) => Ok(Report { trace, ..run.report }),
        Err(what) => Err(Failure { what, trace }),
    }
}

impl<'a> Run<'a> {
    fn new(seed: u64, mutant: Mutant, folder: &'a Path) -> Self {
        let mut dice = Dice::new(seed, 0);
        let time = Arc::<Time>::default();
        let clock = Arc::new(HostClock::new(&time, 0, Duration::from_secs(1)));
        let env = Env { clock, random: Arc::new(Bytes::new(Dice::new(seed, 1))), threads_max: 1 };
        let places = [MemoryBackend::new(), MemoryBackend::new()];
        Repository::create(
            Arc::new(places[0].clone()),
            &KEY,
            &CreateOptions::default(),
            options(&folder.join("keeper"), &env),
        )
        .unwrap();
        let served = [0, 1].map(|place| mutant.serve(places[place].clone()));
        let weather = Weather {
            faults: *dice.pick(&[0, 20, 60, 200]),
            deaths: *dice.pick(&[0, 60, 200]),
            jumps: *dice.pick(&[0, 50, 300]),
            versions: *dice.pick(&[2, 8]),
            tidiness: *dice.pick(&[[10, 16], [16, 22], [40, 60]]),
            turns: *dice.pick(&[1, 3, 10, 40]),
        };
        let mut run = Self {
            stage: Arc::new(Stage::new(CLIENTS)),
            post: Arc::default(),
            truths: Truths::default(),
            seats: Vec::new(),
            deeds_left: DEEDS,
            is_promoting: false,
            is_promoted: false,
            due: Vec::new(),
            report: Report::default(),
            dice,
            seed,
            weather,
            time,
            places,
            served,
            folder,
            env,
        };
        run.seats = (0..CLIENTS).map(|number| run.seat(number, mutant)).collect();
        run
    }

    fn seat(&mut self, number: usize, mutant: Mutant) -> Seat {
        // The last client may share the host of the first.
        let host = if number == CLIENTS - 1 && self.dice.once_in(2) { 0 } else { number };
        let mut host_dice = Dice::new(self.seed, 100 + host as u64);
        let skew = host_dice.below(48 * HOUR).cast_signed() - 24 * HOUR.cast_signed();
        let up = Duration::from_nanos(host_dice.below(1000 * HOUR));
        let clock = Arc::new(HostClock::new(&self.time, skew, up));
        let random = Arc::new(Bytes::new(Dice::new(self.seed, 10 + number as u64)));
        let env = Env { clock: Arc::clone(&clock) as _, random, threads_max: 1 };
        let host = self.folder.join(format!("host{host}"));
        let copies = self.folder.join(format!("copies{number}"));
        let is_far = self.dice.below(3) > 0;
        let ways = [0, 1].map(|place| {
            let wire = Wire {
                inner: Arc::clone(&self.served[place]),
                place,
                client: number,
                stage: Arc::clone(&self.stage),
                post: Arc::clone(&self.post),
            };
            let way = mutant.way(Arc::new(wire));
            if is_far { chain(way, &copies.join(place.to_string())) } else { way }
        });
        let client = Client {
            ways,
            env,
            host,
            truths: self.truths.clone(),
            tree: Tree::default(),
            versions: self.weather.versions,
            open: [None, None],
            due: Vec::new(),
        };
        Seat {
            clock,
            client: Some(client),
            work: None,
            call: None,
            is_struck: false,
            is_dead: false,
            weight: 1,
        }
    }

    fn note(&mut self, what: String) {
        self.report.trace.push(what);
    }

    /// Until all deeds are done.
    fn play(&mut self) -> Result<(), String> {
        let mut last = 0;
        for _ in 0..CALLS_MAX {
            self.happen()?;
            let able: Vec<(u64, usize)> = self.able().map(|seat| (self.seats[seat].weight, seat)).collect();
            if able.is_empty() {
                return Ok(());
            }
            if !able.iter().any(|(_, seat)| *seat == last) || self.dice.once_in(self.weather.turns) {
                let all: u64 = able.iter().map(|(weight, _)| weight).sum();
                last = if all == 0 { self.dice.pick(&able).1 } else { *self.dice.weighed(&able) };
            }
            self.step(last)?;
        }
        Ok(())
    }

    /// Clients that can do something.
    fn able(&self) -> impl Iterator<Item = usize> {
        (0..CLIENTS).filter(|seat| self.seats[*seat].call.is_some() || self.deeds_left > 0)
    }

    /// What happens by itself.
    fn happen(&mut self) -> Result<(), String> {
        self.time.pass(self.dice.below(SECOND));
        if self.dice.once_in(self.weather.jumps) {
            let passed = self.dice.below(5 * HOUR);
            self.time.pass(passed);
            self.note(format!("{} minutes pass", passed / (60 * SECOND)));
        }
        if self.dice.once_in(200) {
            let (seat, by) =
                (self.dice.below(CLIENTS as u64) as usize, self.dice.below(200 * HOUR).cast_signed());
            self.seats[seat].clock.jump(by - 100 * HOUR.cast_signed());
        }
        if self.post.len() > 0 && self.dice.once_in(15) {
            self.deliver();
        }
        if self.dice.once_in(150) {
            self.lose_cache();
        }
        if self.dice.once_in(25) {
            for seat in &mut self.seats {
                seat.weight = *self.dice.pick(&[0, 1, 1, 5]);
            }
        }
        if self.dice.once_in(120) {
            self.prove()?;
        }
        Ok(())
    }

    /// One of the changes on their way arrives.
    fn deliver(&mut self) {
        let at = self.dice.below(self.post.len() as u64) as usize;
        let letter = self.post.take(at);
        let place = &self.served[letter.place];
        // Nobody waits for the answer.
        let told = match &letter.change {
            Change::Put(name, bytes) => (name, place.write_new(name, bytes, Durability::Now).is_ok()),
            Change::Remove(name) => (name, place.remove(name).is_ok()),
        };
        let told = format!("place {}: a late change of {} arrives: {}", letter.place, told.0, told.1);
        self.note(told);
    }

    fn lose_cache(&mut self) {
        let number = self.dice.below(CLIENTS as u64);
        for folder in [format!("host{number}/cache"), format!("copies{number}")] {
            // It may not be there yet.
            drop(std::fs::remove_dir_all(self.folder.join(folder)));
        }
        self.note(format!("host {number} loses its cache"));
    }

    /// A client goes on: with its call, or with a new deed.
    fn step(&mut self, number: usize) -> Result<(), String> {
        if let Some(call) = self.seats[number].call.take() {
            let fate = self.fate(&call);
            self.note(format!(
                "client {number} place {} {:?} {} {fate:?}",
                call.place, call.method, call.name
            ));
            let seat = &mut self.seats[number];
            seat.is_struck |= fate != Fate::Done;
            seat.is_dead |= fate.kills();
            self.stage.grant(number, fate);
            self.follow(number)
        } else {
            self.begin(number)
        }
    }

    fn fate(&mut self, call: &Call) -> Fate {
        let changes = matches!(call.method, Method::WriteNew | Method::Remove);
        // A curtain that comes back after it was removed would hide what was shown, until the next sync.
        let is_curtain = call.method == Method::WriteNew && call.name.starts_with("log/-sync-");
        let [deaths, faults]: [&[Fate]; 2] = if is_curtain {
            [&[Fate::DiesBefore, Fate::DiesAfter], &[Fate::Failed, Fate::AnswerLost, Fate::Twice]]
        } else if changes {
            [
                &[Fate::DiesBefore, Fate::DiesAfter, Fate::DiesLater],
                &[Fate::Failed, Fate::AnswerLost, Fate::Later, Fate::Twice, Fate::Echoed],
            ]
        } else {
            [&[Fate::DiesBefore], &[Fate::Failed]]
        };
        // Writes are what matters, and fewer.
        let rarity = if changes { self.weather.faults / 4 } else { self.weather.faults };
        if self.dice.once_in(self.weather.deaths) {
            *self.dice.pick(deaths)
        } else if self.dice.once_in(rarity) {
            *self.dice.pick(faults)
        } else {
            Fate::Done
        }
    }

    /// Begins a deed.
    fn begin(&mut self, number: usize) -> Result<(), String> {
        let deed = self.choose();
        let place = match deed {
            Deed::Sync => 0,
            Deed::Promote => 1,
            _ => usize::from(self.is_promoted && self.dice.once_in(2)),
        };
        if matches!(deed, Deed::Sync | Deed::Promote) {
            // Nothing of an earlier sync is on its way.
            while self.post.len() > 0 {
                self.deliver();
            }
            self.is_promoting |= deed == Deed::Promote;
        }
        self.deeds_left -= 1;
        self.note(format!("client {number} begins {deed:?} at place {place}"));
        let mut dice = Dice::new(self.dice.next(), 2);
        let seat = &mut self.seats[number];
        let mut client = seat.client.take().unwrap();
        seat.is_struck = false;
        if dice.once_in(2) {
            client.open = [None, None];
        }
        self.stage.enter(number);
        let leaving = Leaving { stage: Arc::clone(&self.stage), client: number };
        let work = thread::spawn(move || {
            let _leaving = leaving;
            let outcome = client.act(deed, place, &mut dice);
            (client, outcome)
        });
        self.seats[number].work = Some((deed, place, work));
        self.follow(number)
    }

    fn choose(&mut self) -> Deed {
        let is_under_way = |deed: Deed| self.seats.iter().any(|seat| seat.does(deed));
        // One sync at a time, and none while a mirror becomes independent.
        let syncs = if self.is_promoting || is_under_way(Deed::Sync) { 0 } else { 12 };
        let has_mirror = self.places[1].content().contains_key("config");
        let is_busy = is_under_way(Deed::Sync) || is_under_way(Deed::Promote);
        let promotes = if self.is_promoted || is_busy || !has_mirror {
            0
        } else if self.is_promoting {
            8
        } else {
            1
        };
        let [forgets, prunes] = self.weather.tidiness;
        *self.dice.weighed(&[
            (40, Deed::Backup),
            (forgets, Deed::Forget),
            (6, Deed::Undelete),
            (4, Deed::Hold),
            (2, Deed::Release),
            (prunes, Deed::Prune),
            (syncs, Deed::Sync),
            (promotes, Deed::Promote),
            (6, Deed::Restore),
            (4, Deed::Check),
        ])
    }

    /// Waits until a client stops: at its next call, or because its deed has ended.
    fn follow(&mut self, number: usize) -> Result<(), String> {
        self.seats[number].call = self.stage.stopped(number);
        if self.seats[number].call.is_some() {
            return Ok(());
        }
        let Some((deed, _, work)) = self.seats[number].work.take() else { return Ok(()) };
        let (mut client, outcome) =
            work.join().map_err(|_| format!("client {number} panicked in {deed:?}"))?;
        let told = outcome.as_ref().map_or_else(|e| format!(": {e}"), |()| " well".to_owned());
        self.note(format!("client {number} ends {deed:?}{told}"));
        let seat = &mut self.seats[number];
        let (is_struck, is_dead) = (seat.is_struck, std::mem::take(&mut seat.is_dead));
        if is_dead {
            client.open = [None, None];
        }
        let due = std::mem::take(&mut client.due);
        seat.client = Some(client);
        match outcome {
            Ok(()) if deed == Deed::Promote => self.promoted()?,
            Ok(()) => {}
            Err(e) => {
                judge(deed, &e, is_struck)?;
                self.report.failed.push(format!("{deed:?} {is_struck}: {e}"));
                return Ok(());
            }
        }
        self.due.extend(due);
        self.report.done.push(deed);
        self.broken()?;
        if deed == Deed::Sync { self.prove() } else { Ok(()) }
    }

    fn broken(&self) -> Result<(), String> {
        let broken: Vec<String> = self.truths.lock().iter().flat_map(|truth| truth.broken.clone()).collect();
        if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
    }

    /// The mirror is a repository of its own from now on.
    fn promoted(&mut self) -> Result<(), String> {
        let mut truths = self.truths.lock();
        let listed = proof::listed(&self.places[1], &truths[0], &self.folder.join("proof"), &self.env)?;
        truths[1] = truths[0].promoted(&listed);
        drop(truths);
        self.is_promoted = true;
        Ok(())
    }

    /// Looks at both places as they are at this moment.
    fn prove(&mut self) -> Result<(), String> {
        let truths = self.truths.lock();
        let folder = self.folder.join("proof");
        proof::whole(&self.places[0], &truths[0], &folder, &self.env)?;
        if self.places[1].content().contains_key("config") {
            let truth = if self.is_promoted { &truths[1] } else { &truths[0] };
            let shown = proof::listed(&self.places[1], truth, &folder, &self.env);
            let shown = shown.map_err(|e| format!("the mirror: {e}"))?;
            let is_due = |(before, session): &&(Known, SessionId)| {
                !self.is_promoting && truths[0].is_still_required(session, before)
            };
            if let Some((_, lost)) = self.due.iter().filter(is_due).find(|(_, due)| !shown.contains(due)) {
                return Err(format!("the mirror does not show {lost}, although a sync said so"));
            }
        }
        drop(std::fs::remove_dir_all(folder));
        Ok(())
    }

    /// Everything comes to rest; then all must be well, and no rubbish left.
    fn settle(&mut self) -> Result<(), String> {
        self.weather = Weather { faults: 0, deaths: 0, jumps: 0, turns: 1, ..self.weather };
        self.deeds_left = 0;
        for number in 0..CLIENTS {
            while self.seats[number].call.is_some() {
                self.step(number)?;
            }
        }
        while self.post.len() > 0 {
            self.deliver();
        }
        self.broken()?;
        self.note("everything rests".to_owned());
        let truths = self.truths.lock().clone();
        let folder = self.folder.join("keeper");
        let keeper = Keeper { place: &self.places[0], folder: &folder, env: &self.env, time: &self.time };
        keeper.settle(&truths[0])?;
        if self.is_promoting {
            let folder = self.folder.join("keeper of the mirror");
            let keeper = Keeper { place: &self.places[1], folder: &folder, ..keeper };
            let truth = if self.is_promoted { truths[1].clone() } else { keeper.promote(&truths[0])? };
            keeper.settle(&truth)?;
            keeper.empty()?;
        } else {
            keeper.sync(&self.places[1], &truths[0])?;
        }
        keeper.empty()
    }
}

/// Whether a deed may fail so.
fn judge(deed: Deed, error: &Error, is_struck: bool) -> Result<(), String> {
    if is_struck {
        return Ok(());
    }
    match error.kind() {
        ErrorKind::Damaged => Err(format!("{deed:?} met damage: {error}")),
        ErrorKind::Io => Err(format!("{deed:?} met no fault: {error}")),
        _ => Ok(()),
    }
}

/// Tells the run that a deed has ended, however it ended.
struct Leaving {
    stage: Arc<Stage>,
    client: usize,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.stage.leave(self.client);
    }
}
