//! An authority of the double's own, and the certificate that it gives the API.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// What clients trust, and what the server shows them.
pub(crate) struct Identity {
    /// The certificate of the authority, as PEM.
    pub(crate) authority: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Identity {
    /// Of an API at this address.
    pub(crate) fn new(address: Ipv4Addr) -> io::Result<Self> {
        let (authority, chain, key) = certify(address).map_err(io::Error::other)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![chain.der().clone()], PrivatePkcs8KeyDer::from(key).into())
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { authority, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

fn certify(address: Ipv4Addr) -> Result<(String, rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, "kube-double");
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned);
    let mut params = CertificateParams::new([&names[..], &[address.to_string()]].concat())?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok((authority, certificate, key))
}
