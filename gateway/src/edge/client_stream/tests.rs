use std::net::SocketAddr;

use pingora_core::protocols::GetSocketDigest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use super::*;

/// A connection as pingora gives it, and the client's end of it.
async fn accepted() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let digest = SocketDigest::from_raw_fd(socket.as_raw_fd());
    let mut stream = L4Stream::from(socket);
    stream.set_socket_digest(digest);
    (Box::new(stream), client)
}

/// Says something each way, and sees the end.
async fn talk(mut stream: ClientStream, mut client: impl AsyncRead + AsyncWrite + Unpin) {
    client.write_all(b"ping").await.unwrap();
    let mut read = [0; 4];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"ping");
    let pieces = [io::IoSlice::new(b"po"), io::IoSlice::new(b"ng")];
    assert!(stream.is_write_vectored());
    assert_eq!(stream.write_vectored(&pieces).await.unwrap(), 4);
    stream.flush().await.unwrap();
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"pong");
    stream.shutdown().await.unwrap();
    assert_eq!(client.read(&mut read).await.unwrap(), 0);
    client.write_all(b"!").await.unwrap();
    assert_eq!(stream.read(&mut read).await.unwrap(), 1);
    drop(client);
    assert_eq!(stream.read(&mut read).await.unwrap(), 0);
}

#[tokio::test]
async fn a_plain_connection_is_taken_out_of_pingoras_stream_and_goes_on() {
    let (stream, client) = accepted().await;
    let address: SocketAddr = client.local_addr().unwrap();
    let (stream, digest) = ClientStream::new(stream);
    assert!(matches!(stream, ClientStream::Tcp(_)));
    let digest = digest.unwrap();
    assert_eq!(digest.peer_addr().unwrap().as_inet(), Some(&address));
    assert!(digest.tcp_info().is_some(), "its socket can be asked");
    talk(stream, client).await;
}

#[tokio::test]
async fn what_is_no_plain_tcp_stays_as_it_is() {
    let (socket, client) = UnixStream::pair().unwrap();
    let (stream, _) = ClientStream::new(Box::new(L4Stream::from(socket)));
    assert!(matches!(stream, ClientStream::Other(_)));
    talk(stream, client).await;
    // TLS and the like: a stream of pingora's around another.
    let (stream, client) = accepted().await;
    talk(ClientStream::Other(stream), client).await;
}
