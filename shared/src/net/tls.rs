//! TLS: what is trusted.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::env::{ConfigError, Env};

const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// The TLS configuration that all clients of a function share: root certificates and session tickets included.
#[derive(Clone)]
pub struct Tls(pub(super) Arc<ClientConfig>);

impl Tls {
    /// Trusts the built-in root certificates, or those of `SSL_CERT_FILE`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds no usable certificate.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let roots = match env.get(SSL_CERT_FILE) {
            Some(path) => roots_from_file(path)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        #[expect(clippy::expect_used, reason = "ring has the cipher suites of TLS 1.2 and 1.3")]
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions");
        Ok(Self(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn roots_from_file(path: &str) -> Result<RootCertStore, ConfigError> {
    let malformed = || ConfigError::malformed(SSL_CERT_FILE, "expected a readable PEM file of root certificates");
    let mut roots = RootCertStore::empty();
    // A system's bundle may have an odd one among the others.
    let certificates = CertificateDer::pem_file_iter(path).map_err(|_| malformed())?;
    roots.add_parsable_certificates(certificates.flatten());
    (!roots.is_empty()).then_some(roots).ok_or_else(malformed)
}
