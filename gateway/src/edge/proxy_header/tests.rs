use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

/// What is read of a connection on which these pieces come one after the other, and what is left to read.
async fn read_of(pieces: &[&[u8]]) -> (Result<Option<String>, ErrorKind>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.set_nodelay(true).unwrap();
    let (mut socket, _) = listener.accept().await.unwrap();
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let sending = tokio::spawn(async move {
        for piece in pieces {
            // The other side may have had enough.
            let _ = client.write_all(&piece).await;
            tokio::task::yield_now().await;
        }
    });
    let read = read(&mut socket).await.map(|address| address.map(|it| it.to_string())).map_err(|e| e.kind());
    sending.await.unwrap();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
    (read, rest)
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

#[tokio::test]
async fn the_client_is_who_the_header_says_and_nothing_beyond_it_is_read() {
    let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0, 80, 1, 187];
    let mut v6 = [0; 36];
    v6[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    let with_more = [&v4[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
    for (header, client) in [
        (b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 80\r\n".to_vec(), Some("192.0.2.1")),
        (b"PROXY TCP6 2001:db8::1 ::1 12345 80\r\n".to_vec(), Some("2001:db8::1")),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 12345 80\r\n".to_vec(), Some("192.0.2.1")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN whatever there is\r\n".to_vec(), None),
        (binary(0x21, 0x11, &v4), Some("192.0.2.1")),
        (binary(0x21, 0x11, &with_more), Some("192.0.2.1")),
        (binary(0x21, 0x21, &v6), Some("2001:db8::1")),
        (binary(0x20, 0x00, &[]), None),
        (binary(0x21, 0x31, &[0; 216]), None),
    ] {
        let after = b"GET / HTTP/1.1\r\n";
        let whole = [&header[..], after].concat();
        let (read, rest) = read_of(&[&whole]).await;
        assert_eq!((read, &rest[..]), (Ok(client.map(str::to_owned)), &after[..]), "{header:?}");
        // The same byte by byte.
        let (read, rest) = read_of(&whole.chunks(1).collect::<Vec<_>>()).await;
        assert_eq!((read, &rest[..]), (Ok(client.map(str::to_owned)), &after[..]), "{header:?}");
    }
}

#[tokio::test]
async fn what_is_no_header_is_refused() {
    let long = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
    for (sent, kind) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], ErrorKind::InvalidData),
        (b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n", ErrorKind::InvalidData),
        (b"PROXY TCP4 ::1 10.0.0.1 1 2\r\n", ErrorKind::InvalidData),
        (b"PROXY TCP4 nobody 10.0.0.1 1 2\r\n", ErrorKind::InvalidData),
        (b"PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n", ErrorKind::InvalidData),
        (b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n", ErrorKind::InvalidData),
        (&long, ErrorKind::InvalidData),
        (&binary(0x21, 0x11, &[0; 11]), ErrorKind::InvalidData),
        (&binary(0x21, 0x21, &[0; 35]), ErrorKind::InvalidData),
        (&binary(0x22, 0x11, &[0; 12]), ErrorKind::InvalidData),
        (&binary(0x11, 0x11, &[0; 12]), ErrorKind::InvalidData),
        (&binary(0x21, 0x11, &[0; LONGEST_REST + 1]), ErrorKind::InvalidData),
        // Half a header, and then nothing.
        (b"PROXY TCP4 192.0.2.1 10.", ErrorKind::UnexpectedEof),
        (b"PROXY ", ErrorKind::UnexpectedEof),
        (&binary(0x21, 0x11, &[0; 12])[..20], ErrorKind::UnexpectedEof),
        (b"", ErrorKind::UnexpectedEof),
    ] {
        assert_eq!(read_of(&[sent]).await.0, Err(kind), "{}", sent.escape_ascii());
    }
}
