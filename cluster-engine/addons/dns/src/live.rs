//! The server with real sockets, and a stand-in for another name server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drydock_component::Shutdown;
use drydock_component::shutdown::Trigger;
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::forward::Upstreams;
use crate::respond::Responder;
use crate::server::Sockets;
use crate::zone::tests::{cluster, zone};

const PATIENCE: Duration = Duration::from_secs(5);

struct Running {
    address: SocketAddr,
    _stop: Trigger,
}

async fn start(upstreams: Vec<SocketAddr>) -> Running {
    let sockets = Sockets::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = sockets.local_addr().unwrap();
    let (stop, shutdown) = Shutdown::new();
    let responder = Arc::new(Responder::new(zone(cluster()), Upstreams::new(upstreams)));
    tokio::spawn(async move { sockets.serve(responder, shutdown).await });
    Running { address, _stop: stop }
}

fn question(name: &str, kind: RecordType, room: Option<u16>) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    if let Some(room) = room {
        let mut edns = Edns::new();
        edns.set_max_payload(room);
        message.set_edns(edns);
    }
    message
}

async fn send_udp(server: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(bytes, server).await.unwrap();
    let mut answer = vec![0; 65536];
    let length = tokio::time::timeout(PATIENCE, socket.recv(&mut answer)).await.expect("no answer").unwrap();
    answer.truncate(length);
    answer
}

async fn udp(server: SocketAddr, question: &Message) -> Message {
    let answer = Message::from_vec(&send_udp(server, &question.to_vec().unwrap()).await).unwrap();
    assert_eq!(answer.metadata.id, question.metadata.id);
    assert_eq!(answer.queries, question.queries);
    answer
}

async fn tcp(server: SocketAddr, questions: &[Message]) -> Vec<Message> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let mut answers = Vec::new();
    for question in questions {
        let bytes = question.to_vec().unwrap();
        stream.write_u16(bytes.len() as u16).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.unwrap();
        answers.push(Message::from_vec(&answer).unwrap());
    }
    answers
}

/// A name server that knows one address for every name, in so many copies.
async fn elsewhere(copies: u8) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let request = Message::from_vec(&buffer[..length]).unwrap();
            let mut response = Message::response(request.metadata.id, request.metadata.op_code);
            response.add_queries(request.queries.clone());
            for copy in 0..copies {
                let data = RData::A(std::net::Ipv4Addr::new(192, 0, 2, copy).into());
                response.add_answer(Record::from_rdata(request.queries[0].name().clone(), 60, data));
            }
            socket.send_to(&response.to_vec().unwrap(), client).await.unwrap();
        }
    });
    address
}

fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn the_same_answer_over_udp_and_tcp() {
    let server = start(vec![]).await;
    let question = question("kubernetes.default.svc.cluster.local.", RecordType::A, None);
    let answer = udp(server.address, &question).await;
    assert_eq!(data(&answer), ["10.96.0.1"]);
    assert!(answer.metadata.authoritative && answer.metadata.recursion_desired && answer.edns.is_none());
    assert_eq!(answer.answers[0].ttl, 30);
    assert_eq!(tcp(server.address, &[question.clone(), question]).await, [answer.clone(), answer]);
}

#[tokio::test]
async fn what_is_not_there_comes_with_the_soa() {
    let server = start(vec![]).await;
    for (name, kind, code) in [
        ("nothing.default.svc.cluster.local.", RecordType::A, ResponseCode::NXDomain),
        ("kubernetes.default.svc.cluster.local.", RecordType::AAAA, ResponseCode::NoError),
    ] {
        let answer = udp(server.address, &question(name, kind, Some(1232))).await;
        assert_eq!(answer.metadata.response_code, code, "{name}");
        assert!(answer.answers.is_empty());
        assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
        assert!(answer.edns.is_some());
    }
}

#[tokio::test]
async fn the_letters_of_the_question_come_back() {
    let server = start(vec![]).await;
    let question = question("KuBeRnEtEs.DeFaUlT.sVc.cluster.local.", RecordType::A, None);
    let answer = udp(server.address, &question).await;
    assert_eq!(answer.queries[0].name().to_ascii(), "KuBeRnEtEs.DeFaUlT.sVc.cluster.local.");
    assert_eq!(data(&answer), ["10.96.0.1"]);
}

#[tokio::test]
async fn other_names_are_asked_for_elsewhere() {
    let server = start(vec![elsewhere(1).await]).await;
    let answer = udp(server.address, &question("example.org.", RecordType::A, None)).await;
    assert_eq!(data(&answer), ["192.0.2.0"]);
    // The target of an alias, too.
    let answer = udp(server.address, &question("out.default.svc.cluster.local.", RecordType::A, None)).await;
    assert_eq!(data(&answer), ["example.org.", "192.0.2.0"]);
    // One of our own is ours.
    let answer = udp(server.address, &question("in.default.svc.cluster.local.", RecordType::A, None)).await;
    assert_eq!(data(&answer), ["kubernetes.default.svc.cluster.local.", "10.96.0.1"]);
    let answer = udp(server.address, &question("nothing.default.svc.cluster.local.", RecordType::A, None)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn with_nobody_to_ask_other_names_fail_at_once() {
    let server = start(vec![]).await;
    let answer = udp(server.address, &question("example.org.", RecordType::A, None)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(!answer.metadata.recursion_available);
    let answer = udp(server.address, &question("circle.default.svc.cluster.local.", RecordType::A, None)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    // The alias itself is known.
    let answer = udp(server.address, &question("out.default.svc.cluster.local.", RecordType::A, None)).await;
    assert_eq!(data(&answer), ["example.org."]);
}

#[tokio::test]
async fn noise_is_no_reason_to_stop() {
    let server = start(vec![]).await;
    let mut noise = question("kubernetes.default.svc.cluster.local.", RecordType::A, None).to_vec().unwrap();
    noise.truncate(20);
    let answer = Message::from_vec(&send_udp(server.address, &noise).await).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for bytes in [&[][..], &[1], &[0xff; 12], &[0xff; 600]] {
        socket.send_to(bytes, server.address).await.unwrap();
    }
    let question = question("kubernetes.default.svc.cluster.local.", RecordType::A, None);
    assert_eq!(data(&udp(server.address, &question).await), ["10.96.0.1"]);
}

#[tokio::test]
async fn what_does_not_fit_is_truncated() {
    let server = start(vec![]).await;
    // Many endpoints under one name.
    let small = udp(server.address, &question("many.default.svc.cluster.local.", RecordType::A, None)).await;
    assert!(small.metadata.truncation);
    assert!(!small.answers.is_empty() && small.to_vec().unwrap().len() <= 512);
    let larger = udp(server.address, &question("many.default.svc.cluster.local.", RecordType::A, Some(4096))).await;
    assert!(larger.answers.len() > small.answers.len() && larger.to_vec().unwrap().len() <= 1232);
    let whole = tcp(server.address, &[question("many.default.svc.cluster.local.", RecordType::A, None)]).await;
    assert!(!whole[0].metadata.truncation);
    assert_eq!(whole[0].answers.len(), 200);
}
