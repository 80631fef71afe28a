use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

const BARE: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 2026\r\n\r\n";

/// What a client gets of `answer`, when there has been a request or not.
async fn got(answer: &[u8], has_asked: bool) -> String {
    // Less than an answer fits in between.
    let (mut client, server) = duplex(16);
    let wait = Arc::<ClientWait>::default();
    if has_asked {
        wait.set_sending(false);
    }
    let mut worded = Worded::new(server, wait);
    let mut read = String::new();
    let answering = async {
        worded.write_all(answer).await.unwrap();
        worded.shutdown().await.unwrap();
        drop(worded);
    };
    tokio::join!(answering, async { client.read_to_string(&mut read).await.unwrap() });
    read
}

#[tokio::test]
async fn an_answer_of_the_parsers_is_put_into_words() {
    let said = got(BARE, false).await;
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n") && head.contains("\r\ndate: Thu, 01 Jan 2026"), "{head}");
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())) && head.contains("problem+json"), "{head}");
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&document["status"], &document["cause"]), (&400.into(), &"malformed".into()));
}

#[tokio::test]
async fn any_other_answer_is_left_as_it_is() {
    let bare = std::str::from_utf8(BARE).unwrap();
    assert_eq!(got(BARE, true).await, bare, "an app's");
    for other in
        [bare.replace("400", "200"), bare.replace("length: 0", "length: 2"), bare.replace("close", "keep-alive")]
    {
        assert_eq!(got(other.as_bytes(), false).await, other);
    }
}
