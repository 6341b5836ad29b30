//! TLS with ring; prefers HTTP/2 to HTTP/1.1.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use isn_format::error::{Error, Result};

/// Reads the certificate chain and the private key from PEM files.
pub(super) fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|e| Error::invalid(cert.display(), format!("has no certificates in PEM: {e}")))?;
    if chain.is_empty() {
        return Err(Error::invalid(cert.display(), "has no certificates in PEM"));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| Error::invalid(key.display(), format!("has no private key in PEM: {e}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let refuse = |e: rustls::Error| Error::invalid(format!("{} and {}", cert.display(), key.display()), e);
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config =
        builder.map_err(refuse)?.with_no_client_auth().with_single_cert(chain, private).map_err(refuse)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
