//! Every kind of object × every way of damage × every command, and what else is asked of a damaged repository.

mod catalogue;
mod effects;
mod fixture;
mod later;
mod matrix;
mod objects;
mod table;
