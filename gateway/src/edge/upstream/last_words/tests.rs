use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[tokio::test]
async fn what_an_app_has_said_before_it_closed_is_read_though_it_took_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut app, _) = listener.accept().await.unwrap();
    let mut words = LastWords::new(stream, Arc::default(), None);
    words.write_all(b"a body that is not read").await.unwrap();
    app.readable().await.unwrap();
    app.write_all(b"too large").await.unwrap();
    drop(app);
    // Until the end of the connection has arrived here.
    while words.app == App::Listens {
        words.write_all(&[0; 1024]).await.unwrap();
    }
    let pieces = [IoSlice::new(b"more"), IoSlice::new(b"of it")];
    assert_eq!(words.write_vectored(&pieces).await.unwrap(), 9);
    words.flush().await.unwrap();
    let mut read = [0; 64];
    assert_eq!(words.read(&mut read).await.unwrap(), 9);
    assert_eq!(&read[..9], b"too large");
    assert!(words.read(&mut read).await.map_or(true, |n| n == 0), "that was all");
    assert_eq!(words.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe, "nobody is to go on for ever");
}
