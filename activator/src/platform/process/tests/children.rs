//! What this test binary does when another test runs it.

use std::io::{Read, Write};
use std::net::Ipv4Addr;

use super::*;

/// How to run `child` of this module.
pub(super) fn command(child: &str) -> Vec<String> {
    let this = std::env::current_exe().expect("the test binary").display().to_string();
    let test = format!("{}::{child}", module_path!().split_once("::").expect("a path").1);
    [&this, "--ignored", "--exact", &test, "--nocapture"].map(str::to_owned).to_vec()
}

/// Answers every request with what it was given.
#[test]
#[ignore = "for other tests to run"]
fn server() {
    let Some(port) = std::env::var("PORT").ok().and_then(|port| port.parse().ok()) else { return };
    let address = std::env::var("ADDRESS").ok().and_then(|address| address.parse().ok());
    let listener = TcpListener::bind((address.unwrap_or(Ipv4Addr::LOCALHOST), port)).expect("bind");
    for mut stream in listener.incoming().flatten() {
        let mut head = [0; 1024];
        if stream.read(&mut head).is_ok_and(|read| read > 0) {
            let dir = std::env::current_dir().expect("a working directory");
            let body = format!("{port} {} {}", std::env::var("MORE").unwrap_or_default(), dir.display());
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}");
        }
    }
}

#[test]
#[ignore = "for other tests to run"]
fn guardian() {
    guardian_main();
}

/// A gateway with one replica that has started a process itself; that writes its number to a file. Ends when killed.
#[tokio::test]
#[ignore = "for other tests to run"]
async fn gateway() {
    let Some(file) = std::env::var_os("GRANDCHILD") else { return };
    let mut guardian = command("guardian");
    let program = PathBuf::from(guardian.remove(0));
    let options = ProcessOptions {
        ports: ports(10),
        guardian: Some(GuardianCommand { program, arguments: guardian }),
        ..ProcessOptions::default()
    };
    let mut spec = shell("sleep 1000 & echo $! $$ > $FILE.new; mv $FILE.new $FILE; exec $SERVER");
    spec.env.insert("FILE".into(), file.to_str().expect("a path").into());
    let bed = Bed::with(spec, options);
    bed.scale(1).await;
    std::future::pending().await
}
