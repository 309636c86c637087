//! TLS with client certificates.

use std::path::Path;

use drydock_component::Shutdown;
use drydock_etcd::{Options, Server};
use drydock_etcd_proto::etcdserverpb as pb;
use pb::kv_client::KvClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key in PEM.
fn signed(issuer: &CertifiedIssuer<'static, KeyPair>, usage: ExtendedKeyUsagePurpose) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_ca_are_served() {
    use clap::Parser;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (ca, other_ca) = (authority(), authority());
    let (certificate, key) = signed(&ca, ExtendedKeyUsagePurpose::ServerAuth);
    let options = Options::parse_from([
        "etcd",
        "--listen-client-urls=https://127.0.0.1:0",
        "--client-cert-auth",
        &format!("--data-dir={}", path.join("data").display()),
        &format!("--cert-file={}", write(path, "server.crt", &certificate)),
        &format!("--key-file={}", write(path, "server.key", &key)),
        &format!("--trusted-ca-file={}", write(path, "ca.crt", &ca.pem())),
    ]);
    let (trigger, shutdown) = Shutdown::new();
    let server = Server::bind(options, shutdown.clone()).await.unwrap();
    let address = server.client_addresses()[0];
    let serving = tokio::spawn(server.serve(shutdown));

    let ask = async |identity: Option<(String, String)>| {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.pem())).domain_name("localhost");
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap();
        let mut client = KvClient::new(endpoint.connect_lazy());
        client.range(pb::RangeRequest { key: "a".into(), ..Default::default() }).await
    };
    let good = signed(&ca, ExtendedKeyUsagePurpose::ClientAuth);
    assert_eq!(ask(Some(good)).await.unwrap().into_inner().count, 0);
    ask(None).await.expect_err("a client without a certificate was served");
    let foreign = signed(&other_ca, ExtendedKeyUsagePurpose::ClientAuth);
    ask(Some(foreign)).await.expect_err("a client of another CA was served");

    trigger.shut_down();
    serving.await.unwrap().unwrap();
}
