//! Pruning: what is unreferenced goes, everything else stays, whatever happens meanwhile.

mod cost;
mod damage;
mod interrupted;
pub(crate) mod kept;
mod raced;
mod recovery;
mod silence;
mod space;
mod together;
mod trash;
