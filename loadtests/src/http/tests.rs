use tokio::net::TcpListener;

use super::*;

/// What the client makes of `response`, sent byte by byte by a server that then closes.
async fn answer_to(response: &'static [u8]) -> io::Result<Answer> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; 64];
        let _ = stream.read(&mut request).await?;
        for byte in response {
            stream.write_all(std::slice::from_ref(byte)).await?;
            tokio::task::yield_now().await;
        }
        io::Result::Ok(())
    });
    let answer = Connection::open(addr).await?.exchange(&get("a.localhost", "/")).await;
    server.await.unwrap()?;
    answer
}

#[tokio::test]
async fn reads_each_framing() {
    let cases: [(&[u8], u16, &[u8], bool); 5] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", false),
        (b"HTTP/1.1 503 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno", 503, b"no", true),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            200,
            b"hello",
            false,
        ),
        (b"HTTP/1.1 204 None\r\n\r\n", 204, b"", false),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello", true),
    ];
    for (response, status, body, close) in cases {
        let answer = answer_to(response).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice(), answer.close), (status, body, close));
    }
}

#[tokio::test]
async fn tells_a_cut_answer() {
    let cut: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
    ];
    for response in cut {
        assert_eq!(answer_to(response).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
