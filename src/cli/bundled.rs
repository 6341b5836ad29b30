//! The registry in the binary, so that a fresh machine can pull `demobirds` offline.

use isn_registry::transport::bundled::Bundled;

// `FILES: &[(&str, &[u8])]`, every file of `registry/` sorted by path: written by build.rs.
include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// Its files.
pub(super) const BUNDLED: Bundled = Bundled::new(FILES);
