//! The registry in the binary, so that a fresh machine can pull `demobirds` offline.

use isn_registry::transport::bundled::Bundled;

// build.rs writes `FILES: &[(&str, &[u8])]`: every file of `registry/`, sorted by path.
include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The files of the registry.
pub(super) const BUNDLED: Bundled = Bundled::new(FILES);
