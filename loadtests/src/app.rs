//! A small app to put behind a proxy: cheap enough not to be what is measured, and strict about how much it is given.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::Result;
use crate::clock::Moment;

/// No request that comes here has a larger head.
const MAX_HEAD: usize = 32 << 10;

/// `GET /hello` is answered with 13 bytes, anything else with who answers and since when it listens.
#[derive(clap::Args, Clone)]
pub struct AppArgs {
    /// Where to listen on 127.0.0.1.
    #[arg(long, env = "PORT")]
    port: u16,
    /// Time from start to listening, in milliseconds.
    #[arg(long, default_value_t = 0)]
    start_delay_ms: u64,
    /// Time each request takes, in milliseconds.
    #[arg(long, default_value_t = 0)]
    service_ms: u64,
    /// Most requests at once; more are refused with 503. 0 for no limit.
    #[arg(long, default_value_t = 0)]
    concurrency: u32,
    /// Never listens.
    #[arg(long)]
    never: bool,
}

struct App {
    args: AppArgs,
    listening: Moment,
    in_flight: Cell<u32>,
}

/// Serves until the process is told to stop.
pub async fn serve(args: AppArgs) -> Result<()> {
    if args.never {
        std::future::pending::<()>().await;
    }
    sleep(Duration::from_millis(args.start_delay_ms)).await;
    let listener = std::net::TcpListener::bind(("127.0.0.1", args.port))?;
    let listening = Moment::now();
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let app = Rc::new(App { args, listening, in_flight: Cell::new(0) });
    let connections = LocalSet::new();
    connections
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let app = app.clone();
                // A connection that breaks is the other side's business.
                tokio::task::spawn_local(async move { app.connection(stream).await.ok() });
            }
        })
        .await
}

// === impl App ===

impl App {
    async fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(2048);
        loop {
            let (len, hello, close) = loop {
                if let Some(head) = parse(&buffer)? {
                    break head;
                }
                if buffer.len() > MAX_HEAD || stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            };
            buffer.drain(..len);
            let response = self.answer(hello).await;
            stream.write_all(&response).await?;
            if close {
                return Ok(());
            }
        }
    }

    async fn answer(&self, hello: bool) -> Vec<u8> {
        let _place = Place::take(&self.in_flight);
        if self.args.concurrency > 0 && self.in_flight.get() > self.args.concurrency {
            return response("503 Service Unavailable", "more at once than this app can take\n");
        }
        if self.args.service_ms > 0 {
            sleep(Duration::from_millis(self.args.service_ms)).await;
        }
        if hello {
            return response("200 OK", "Hello, World!");
        }
        let body = format!("{{\"pid\":{},\"listening\":{}}}", std::process::id(), self.listening.0);
        response("200 OK", &body)
    }
}

fn response(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// A request at work.
struct Place<'a>(&'a Cell<u32>);

impl<'a> Place<'a> {
    fn take(count: &'a Cell<u32>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The head's length, whether `/hello` is asked for, whether the connection ends; `None` while the head is incomplete.
fn parse(bytes: &[u8]) -> io::Result<Option<(usize, bool, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => {
            let hello = request.path == Some("/hello");
            let close = request.version == Some(0)
                || request.headers.iter().any(|header| {
                    header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close")
                });
            Ok(Some((len, hello, close)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}
