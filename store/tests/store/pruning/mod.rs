//! Pruning: what is unreferenced goes, everything else stays, whatever happens meanwhile.

mod cost;
mod damage;
mod decisions;
mod interrupted;
pub(crate) mod kept;
mod moved;
mod raced;
mod recovery;
mod rewritten;
mod rubbish;
mod silence;
mod space;
mod stalled;
mod together;
pub(crate) mod trash;
mod upkeep;
