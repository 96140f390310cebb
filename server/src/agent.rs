//! The two services that one program is.

/// One of the two services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Agent {
    /// The backup manager.
    #[default]
    Chronos,
    /// Rollback and recovery.
    Hades,
}

impl Agent {
    /// Its name, as callers and the Event Bus know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chronos => "CHRONOS",
            Self::Hades => "HADES",
        }
    }
}
