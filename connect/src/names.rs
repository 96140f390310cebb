//! Names that nothing else has.

use chronos_store::Env;

use crate::error::Result;

/// Sixteen letters that no other name has.
pub(crate) fn random_name() -> Result<String> {
    let random = Env::system().random_bytes::<8>().map_err(chronos_snapshot::Error::from)?;
    Ok(random.iter().map(|b| format!("{b:02x}")).collect())
}
