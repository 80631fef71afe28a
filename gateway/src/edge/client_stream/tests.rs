use pingora_core::protocols::{GetSocketDigest, SocketDigest};
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

/// Says something each way.
async fn talk(stream: &mut ClientStream, client: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
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
}

/// Sees the end, first the one way and then the other.
async fn end(mut stream: ClientStream, mut client: impl AsyncRead + AsyncWrite + Unpin) {
    let mut read = [0; 4];
    stream.shutdown().await.unwrap();
    assert_eq!(client.read(&mut read).await.unwrap(), 0);
    client.write_all(b"!").await.unwrap();
    assert_eq!(stream.read(&mut read).await.unwrap(), 1);
    drop(client);
    assert_eq!(stream.read(&mut read).await.unwrap(), 0);
}

fn is_kept(stream: &ClientStream) -> bool {
    matches!(stream.kind, Kind::Kept(_))
}

#[tokio::test]
async fn a_plain_connection_that_is_kept_is_taken_out_of_pingoras_stream_and_goes_on() {
    let (stream, mut client) = accepted().await;
    let mut stream = ClientStream::new(stream);
    for n in 1..=30 {
        assert_eq!(is_kept(&stream), n > KEPT, "{n}");
        talk(&mut stream, &mut client).await;
        assert!(!stream.socket().is_gone());
    }
    let socket = stream.socket().clone();
    let Kind::Kept(kept) = &stream.kind else { panic!("it is kept") };
    assert_eq!(kept.peer_addr().unwrap(), client.local_addr().unwrap());
    drop(client);
    assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0);
    assert!(socket.is_gone(), "the socket that is asked is the one that is read");
}

#[tokio::test]
async fn it_ends_as_any_other() {
    for talks in [0, 1, KEPT + 1] {
        let (stream, mut client) = accepted().await;
        let mut stream = ClientStream::new(stream);
        for _ in 0..talks {
            talk(&mut stream, &mut client).await;
        }
        end(stream, client).await;
    }
}

#[tokio::test]
async fn it_is_not_taken_out_while_a_write_waits() {
    let (stream, mut client) = accepted().await;
    let mut stream = ClientStream::new(stream);
    for _ in 1..KEPT {
        talk(&mut stream, &mut client).await;
    }
    // The client takes nothing until the write waits.
    let much = vec![b'x'; 64 << 20];
    let mut written = 0;
    std::future::poll_fn(|cx| {
        loop {
            match Pin::new(&mut stream).poll_write(cx, &much[written..]) {
                Poll::Ready(n) => written += n.unwrap(),
                Poll::Pending => return Poll::Ready(()),
            }
        }
    })
    .await;
    client.write_all(b"more").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    client.write_all(b"more").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    assert!(!is_kept(&stream), "whoever waits for the write would not be woken");
    let mut taken = vec![0; much.len()];
    let (wrote, read) = tokio::join!(stream.write_all(&much[written..]), client.read_exact(&mut taken));
    wrote.unwrap();
    read.unwrap();
    talk(&mut stream, &mut client).await;
    assert!(is_kept(&stream));
}

#[tokio::test]
async fn what_is_no_plain_tcp_stays_as_it_is() {
    let (socket, mut client) = UnixStream::pair().unwrap();
    let mut stream = ClientStream::new(Box::new(L4Stream::from(socket)));
    for _ in 0..30 {
        talk(&mut stream, &mut client).await;
    }
    assert!(!is_kept(&stream));
    assert!(!stream.socket().is_gone());
    end(stream, client).await;
}
