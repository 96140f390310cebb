//! What must hold in every state, and what must be possible.

use stateright::Property;

use crate::configurations::Configuration;
use crate::mutants::Mutant;
use crate::state::{State, Writing};

/// The properties of a configuration.
pub(crate) fn properties(model: &Configuration) -> Vec<Property<Configuration>> {
    let mut all = vec![
        Property::always("every listed snapshot can be read", readable),
        Property::always("who was told `committed` stays committed", |m: &Configuration, s: &State| {
            s.told.within(s.committed.minus(s.revoked).and(m.visible(s)))
        }),
        Property::always("nothing is held and forgotten", |_: &Configuration, s: &State| {
            s.held.and(s.forgotten).is_empty()
        }),
        Property::always("nothing purged is listed", |_: &Configuration, s: &State| {
            s.purged.within(s.forgotten)
        }),
        Property::always("what the second mark kept is not purged", |_: &Configuration, s: &State| {
            s.broken_promise.is_empty()
        }),
        Property::always(
            "a backup after a quarantine does not rely on the damaged pack",
            sound_after_quarantine,
        ),
        Property::sometimes("space is given back", |_: &Configuration, s: &State| !s.stored.has(0)),
    ];
    if model.writers > 0 && model.revoke {
        all.push(Property::sometimes("a revocation wins", |m: &Configuration, s: &State| {
            (1..=m.writers).any(|w| s.revoked.has(w) && s.writers.get(w).at == Writing::Over)
        }));
    }
    if model.close && model.writers > 0 {
        all.push(Property::sometimes("a closed session's pack counts", |m: &Configuration, s: &State| {
            (1..=m.writers).any(|w| s.closed.and(s.naming).has(w))
        }));
    }
    if model.undelete {
        all.push(Property::sometimes(
            "undeleted between condemnation and sweep",
            |m: &Configuration, s: &State| m.live(s).has(0) && s.condemned.iter().any(|c| !c.roots.has(0)),
        ));
    }
    if model.copiers > 0 {
        all.push(Property::sometimes(
            "repacking frees a pack of a listed snapshot",
            |m: &Configuration, s: &State| !s.stored.has(0) && m.live(s).has(0),
        ));
    }
    if model.mergers > 0 {
        all.push(Property::sometimes("a swept pack is named no more", |_: &Configuration, s: &State| {
            !s.stored.has(0) && s.merged.has(0) && !s.swept.or(s.run).has(0)
        }));
    }
    if model.checkpoint {
        all.push(Property::sometimes("a watermark rises", |_: &Configuration, s: &State| s.watermark > 0));
    }
    all
}

/// R1 for restores: a pack that is named, not swept, and there; condemned and damaged ones too.
fn readable(m: &Configuration, s: &State) -> bool {
    let mut packs = m.named(s).minus(s.swept).and(s.stored);
    if m.is(Mutant::ReadersShunCondemned) {
        packs = packs.minus(m.condemned(s));
    }
    m.chunks_of(s, m.live(s)).within(m.chunks_in(s, packs))
}

fn sound_after_quarantine(m: &Configuration, s: &State) -> bool {
    let sound = m.chunks_in(s, m.named(s).minus(s.swept).minus(s.quarantined));
    let late = m.live(s).iter().filter(|i| s.generation.get(*i) > s.quarantined_at);
    late.into_iter().all(|i| s.needs.get(i).within(sound))
}
