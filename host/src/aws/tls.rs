//! Whom to trust when a service is called over HTTPS.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::Settings;

/// Why no service can be called over HTTPS. One line for people.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file that was named is of no use.
    #[error("AWS_CA_BUNDLE: no certificates can be read from {path}: {problem}")]
    Bundle {
        /// As given.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// The system has none.
    #[error(
        "this system has no certificates to trust, which an https:// endpoint needs ({0}); install ca-certificates, or \
         name a file with AWS_CA_BUNDLE"
    )]
    NoRoots(String),
    /// The library has no way to speak TLS.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// Connects over both HTTP and HTTPS. Certificates are read only if an endpoint asks for them: it takes
/// milliseconds.
pub(super) fn connector(settings: &Settings) -> Result<HttpsConnector<HttpConnector>, TlsError> {
    let wanted = settings.endpoints.values().any(|endpoint| endpoint.starts_with("https:"));
    let roots = match &settings.ca_bundle {
        _ if !wanted => RootCertStore::empty(),
        Some(path) => bundle(path)?,
        None => system()?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build())
}

fn bundle(path: &Path) -> Result<RootCertStore, TlsError> {
    let failed = |problem: String| TlsError::Bundle { path: path.to_owned(), problem };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("there are none in it".to_owned())) } else { Ok(roots) }
}

fn system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system has certificates that are broken or out of date; whatever else it has is good.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let problem =
            found.errors.first().map_or_else(|| io::ErrorKind::NotFound.to_string(), ToString::to_string);
        return Err(TlsError::NoRoots(problem));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::aws::{Aws, CallError, Service, s3};

    const OBJECT: s3::Object<'_> =
        s3::Object { account: "000000000000", region: "us-east-1", bucket: "b", key: "k" };

    /// A bucket whose objects all hold `code`, over TLS; answers its address and its certificate in PEM.
    async fn bucket() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust the certificate ends the handshake.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _head = stream.read(&mut [0; 4096]).await;
                let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ncode").await;
            }
        });
        (address, made.cert.pem())
    }

    async fn fetch(endpoint: &str, bundle: &Path) -> Result<bytes::Bytes, CallError> {
        let endpoints = BTreeMap::from([(Service::S3, endpoint.to_owned())]);
        let settings = Settings { endpoints, ca_bundle: Some(bundle.to_owned()), keys: None };
        Aws::new(settings).unwrap().get_object(OBJECT, None, 4).await
    }

    #[tokio::test]
    async fn a_service_is_called_over_https_if_its_certificate_is_in_the_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let [trusted, other] = ["trusted.pem", "other.pem"].map(|name| folder.path().join(name));
        let (endpoint, certificate) = bucket().await;
        fs::write(&trusted, certificate).unwrap();
        fs::write(&other, bucket().await.1).unwrap();
        assert_eq!(fetch(&endpoint, &trusted).await.unwrap(), "code");
        let refused = fetch(&endpoint, &other).await.unwrap_err().to_string();
        assert!(refused.contains("does not answer: invalid peer certificate"), "{refused}");
    }

    fn problem(url: &str, ca_bundle: Option<&Path>) -> Option<String> {
        let endpoints = BTreeMap::from([(Service::S3, url.to_owned())]);
        let settings =
            Settings { endpoints, ca_bundle: ca_bundle.map(Path::to_owned), ..Settings::default() };
        connector(&settings).err().map(|error| error.to_string())
    }

    #[test]
    fn a_bundle_without_certificates_is_refused_where_one_is_needed() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let path = empty.path();
        assert_eq!(
            problem("https://s3.example", Some(path)).unwrap(),
            format!(
                "AWS_CA_BUNDLE: no certificates can be read from {}: there are none in it",
                path.display()
            )
        );
        assert_eq!(problem("http://s3.example", Some(path)), None);
        let missing = problem("https://s3.example", Some(Path::new("/not/there.pem"))).unwrap();
        assert!(
            missing.starts_with("AWS_CA_BUNDLE: no certificates can be read from /not/there.pem: "),
            "{missing}"
        );
    }
}
