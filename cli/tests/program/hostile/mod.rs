//! Repositories that no honest program wrote, made with the right keys: what they hold stays inside what it is restored,
//! exported or shown into.

mod escapes;
mod forge;
mod limits;
mod places;
