use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// A connection as its client sees it, and as it is closed here.
fn connection(is_sending: bool) -> (DuplexStream, Linger<DuplexStream>, Arc<Drain>) {
    let (client, server) = duplex(1 << 16);
    let (wait, drain) = (Arc::<ClientWait>::default(), Arc::<Drain>::default());
    wait.set_sending(is_sending);
    (client, Linger::new(server, wait, drain.clone()), drain)
}

#[tokio::test(start_paused = true)]
async fn what_is_still_sent_is_read_and_the_client_hears_the_end_at_once() {
    let (mut client, mut server, _drain) = connection(true);
    let closing = tokio::spawn(async move { server.shutdown().await });
    assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0, "no more is to come");
    for _ in 0..100 {
        // More than fits in between.
        client.write_all(&[0; 1 << 16]).await.unwrap();
    }
    assert!(!closing.is_finished());
    drop(client);
    closing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_is_not_sending_is_not_waited_for() {
    let (_client, mut server, _drain) = connection(false);
    server.shutdown().await.unwrap();
    // What has come all the same is read: it would have the connection reset.
    let (mut client, mut server, _drain) = connection(false);
    client.write_all(b"something").await.unwrap();
    let closing = tokio::spawn(async move { server.shutdown().await });
    drop(client);
    closing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_sends_nothing_is_waited_for_only_so_long() {
    let (_client, mut server, _drain) = connection(true);
    let begin = sleep(Duration::ZERO).deadline();
    server.shutdown().await.unwrap();
    assert!((sleep(Duration::ZERO).deadline() - begin).abs_diff(SILENCE) < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn who_sends_without_end_is_cut_off() {
    let (mut client, mut server, _drain) = connection(true);
    let begin = sleep(Duration::ZERO).deadline();
    let closing = tokio::spawn(async move {
        server.shutdown().await.unwrap();
        drop(server);
    });
    while client.write_all(&[0; 100]).await.is_ok() {
        sleep(Duration::from_secs(1)).await;
    }
    closing.await.unwrap();
    assert!((sleep(Duration::ZERO).deadline() - begin).abs_diff(LONGEST) <= Duration::from_secs(2));
    // By how much it sends, too.
    let (mut client, mut server, _drain) = connection(true);
    let closing = tokio::spawn(async move { server.shutdown().await.unwrap() });
    let mut sent = 0;
    while client.write_all(&[0; 1 << 16]).await.is_ok() {
        sent += 1 << 16;
    }
    closing.await.unwrap();
    assert!((MOST..=MOST + (1 << 18)).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_it() {
    let (mut client, mut server, drain) = connection(true);
    drain.begin();
    client.write_all(b"something").await.unwrap();
    let begin = sleep(Duration::ZERO).deadline();
    server.shutdown().await.unwrap();
    assert!(sleep(Duration::ZERO).deadline() - begin < Duration::from_millis(10));
}
