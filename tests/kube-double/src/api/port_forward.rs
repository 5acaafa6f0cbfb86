//! pods/portforward over a WebSocket (`v4.channel.k8s.io`): each port has a channel for data and one for an error, and
//! each message begins with the number of its channel.

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::reply::full;
use super::{Api, Call, Reply};
use crate::failure::Failure;
use crate::server::Door;

const PROTOCOL: &str = "v4.channel.k8s.io";
const MOST_IN_A_MESSAGE: usize = 32 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) fn serve(api: &Api, call: Call) -> Result<Reply, Failure> {
    let pod = api.cluster.with(|state, _| state.store.get(&call.key()).cloned());
    let pod = pod.ok_or_else(|| Failure::not_found(call.resource, &call.target.name))?;
    let address = pod["status"]["podIP"].as_str().filter(|_| pod["status"]["phase"] == "Running");
    let address: Option<Ipv4Addr> = address.and_then(|it| it.parse().ok());
    let not_running = || Failure::internal("unable to forward port because pod is not running");
    let address = address.ok_or_else(not_running)?;
    let ports: Vec<u16> =
        call.query.get("ports").unwrap_or("").split(',').filter_map(|it| it.parse().ok()).collect();
    if ports.is_empty() {
        return Err(Failure::bad_request("query parameter \"ports\" is required"));
    }
    let key = call.headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let accept = key.and_then(|it| HeaderValue::from_str(&it).ok());
    let (Some(accept), Some(upgrade)) = (accept, call.upgrade) else {
        return Err(Failure::bad_request("unable to upgrade: missing upgrade headers in request"));
    };
    tokio::spawn(forward(upgrade, address, ports, Arc::clone(&api.door)));
    let mut reply = Response::new(full(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    Ok(reply)
}

async fn forward(upgrade: OnUpgrade, address: Ipv4Addr, ports: Vec<u16>, door: Arc<Door>) {
    let Ok(upgraded) = upgrade.await else { return };
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    tokio::select! {
        () = relay(socket, address, ports) => {}
        // A tunnel goes with the API, as every connection does.
        () = door.wait(true) => {}
    }
}

/// Until the client closes, or every port has.
async fn relay(socket: Socket, address: Ipv4Addr, ports: Vec<u16>) {
    let (mut to_client, mut from_client) = socket.split();
    let (outbox, mut inbox) = mpsc::channel::<Bytes>(16);
    let mut writers: Vec<Option<OwnedWriteHalf>> = Vec::new();
    for (channel, port) in (0_u8..).step_by(2).zip(ports) {
        let announced = announce(&mut to_client, channel, port).await;
        if announced.is_none() {
            return;
        }
        writers.push(dial(address, port, channel, &outbox).await);
    }
    drop(outbox);
    loop {
        tokio::select! {
            message = from_client.next() => match message {
                Some(Ok(Message::Binary(message))) => write(&mut writers, &message).await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            message = inbox.recv() => {
                let Some(message) = message else { break };
                if to_client.send(Message::Binary(message)).await.is_err() {
                    return;
                }
            }
        }
    }
    // The client may have gone first.
    drop(to_client.close().await);
}

/// The first message of each channel is its port.
async fn announce(to_client: &mut SplitSink<Socket, Message>, channel: u8, port: u16) -> Option<()> {
    for channel in [channel, channel + 1] {
        let mut message = BytesMut::from(&[channel][..]);
        message.put_u16_le(port);
        to_client.send(Message::Binary(message.freeze())).await.ok()?;
    }
    Some(())
}

async fn dial(
    address: Ipv4Addr,
    port: u16,
    channel: u8,
    outbox: &mpsc::Sender<Bytes>,
) -> Option<OwnedWriteHalf> {
    match TcpStream::connect((address, port)).await {
        Ok(stream) => {
            let (reader, writer) = stream.into_split();
            tokio::spawn(read(reader, channel, outbox.clone()));
            Some(writer)
        }
        Err(error) => {
            let why = format!(
                "error forwarding port {port} to pod: failed to connect to localhost:{port}: {error}"
            );
            // The client may have gone already.
            drop(outbox.send(framed(channel + 1, why.as_bytes())).await);
            None
        }
    }
}

async fn read(mut reader: OwnedReadHalf, channel: u8, outbox: mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; MOST_IN_A_MESSAGE];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        if outbox.send(framed(channel, &buffer[..length])).await.is_err() {
            return;
        }
    }
}

fn framed(channel: u8, content: &[u8]) -> Bytes {
    [&[channel], content].concat().into()
}

async fn write(writers: &mut [Option<OwnedWriteHalf>], message: &[u8]) {
    let Some((channel, content)) = message.split_first() else { return };
    let writer = writers.get_mut(usize::from(channel / 2)).filter(|_| channel.is_multiple_of(2));
    if let Some(Some(writer)) = writer {
        // A port that has closed is told by its reader.
        drop(writer.write_all(content).await);
    }
}
