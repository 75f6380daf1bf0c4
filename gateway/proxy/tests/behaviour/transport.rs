//! HTTP/2 and TLS, on both sides.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tollgate_accounting::ledger::End;
use tollgate_simulator::Protocol;

use crate::harness::{Ask, ByHand, Gateway, Setup, TargetSetup, client::Connection, provider};

#[tokio::test]
async fn a_client_may_speak_http2_at_once() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let mut client = Connection::http2(gateway.address()).await;
    assert_eq!(client.send(&Ask::chat()).await.status, 200);
    let answer = client.send(&Ask::stream()).await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    drop(client);
    let ledger = gateway.stop().await;
    assert!(ledger.rows.len() == 2 && ledger.rows.iter().all(|row| row.end == Some(End::Completed)));
}

#[tokio::test]
async fn a_client_that_leaves_in_http2_cancels_its_stream_upstream() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(Setup::new([upstream.address()]));
    let mut client = Connection::http2(gateway.address()).await;
    client.begin(&Ask::stream());
    let mut call = upstream.accept().await;
    call.send_stream_head().await;
    call.send_content("one").await;
    let mut open = client.head().await;
    open.read_until("one").await;
    open.leave();
    call.wait_for_close().await;
    let ledger = gateway.stop().await;
    assert_eq!(ledger.only(End::ClientAbort).usage.output_tokens(), 1);
}

#[tokio::test]
async fn a_refused_client_is_heard_out_in_http2() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let socket = TcpStream::connect(gateway.address()).await.expect("a listener");
    let (client, connection) = h2::client::handshake(socket).await.expect("a handshake");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("room for a stream");
    let request = |method: &str, path: &str| {
        let uri = format!("http://{}{path}", gateway.address());
        let request = http::Request::builder().method(method).uri(uri).version(http::Version::HTTP_2);
        request.header("authorization", "Bearer nobody-knows-this-key").body(()).expect("a request")
    };
    for path in ["/v1/chat/completions", "/v1/no/such/path"] {
        let (refused, mut body) = client.send_request(request("POST", path), false).expect("a stream");
        // By then the gateway has seen the refused request's head, and the stream is still open.
        let (alive, _) = client.send_request(request("GET", "/livez"), true).expect("a stream");
        assert_eq!(alive.await.expect("an answer").status(), 200);
        body.send_data(Bytes::from_static(b"{}"), true).expect("the stream is not reset");
        let refused = refused.await.expect("an answer");
        assert!(matches!(refused.status().as_u16(), 401 | 404), "{refused:?}");
        let mut told = refused.into_body();
        while let Some(piece) = told.data().await {
            piece.expect("the answer is whole");
        }
    }
    assert_eq!(gateway.stop().await.rows.len(), 0);
}

#[tokio::test]
async fn an_upstream_may_be_spoken_to_in_http2() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([TargetSetup { http2: true, ..(&provider).into() }]));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    assert!(gateway.send(&Ask::stream()).await.text().ends_with("data: [DONE]\n\n"));
    assert!(provider.book().calls().iter().all(|call| call.protocol == Protocol::Http2));
    let told = provider.book().totals().told;
    let ledger = gateway.stop().await;
    let output: u64 = ledger.rows.iter().map(|row| row.usage.output_tokens()).sum();
    assert_eq!(output, told.output_tokens);
}

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let mut client = Connection::http1(gateway.address()).await;
    for ask in [Ask::chat(), Ask::stream(), Ask::chat().body("no JSON"), Ask::chat()] {
        client.send(&ask).await;
    }
    drop(client);
    assert_eq!(gateway.stop().await.rows.len(), 4);
}

#[tokio::test]
async fn under_tls_the_client_chooses_the_protocol() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls = tollgate_proxy::server_tls(certificate.as_bytes(), key.as_bytes()).expect("a fitting pair");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let provider = provider().await;
    let setup = Setup { tls: Some(Arc::new(ArcSwap::new(tls))), ..Setup::new([&provider]) };
    let gateway = Gateway::start(setup);
    for protocols in [&["h2", "http/1.1"][..], &["http/1.1"], &[]] {
        let secure = handshake(&gateway, &roots, protocols).await;
        let chosen = secure.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let mut client = if chosen.as_deref() == Some(b"h2") {
            Connection::http2_over(secure, gateway.address()).await
        } else {
            Connection::http1_over(secure).await
        };
        assert_eq!(chosen.as_deref(), protocols.first().map(|first| first.as_bytes()));
        assert_eq!(client.send(&Ask::chat()).await.status, 200, "{protocols:?}");
        assert!(client.send(&Ask::stream()).await.text().ends_with("data: [DONE]\n\n"));
    }
    assert_eq!(gateway.stop().await.rows.len(), 6);
}

async fn handshake(
    gateway: &Gateway,
    roots: &RootCertStore,
    protocols: &[&str],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider's own versions")
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let socket = TcpStream::connect(gateway.address()).await.expect("a listener");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake")
}
