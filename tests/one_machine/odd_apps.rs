//! Apps whose HTTP is a little odd.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, empty, get, request};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::raw::Raw;

/// Answers every request with the same bytes.
fn answering(name: &str, answer: &str) -> App {
    let script = r#"
import os, socketserver
class App(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(65536):
            self.request.sendall(os.environb[b"ANSWER"])
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;
    let answer = serde_json::to_string(answer).unwrap();
    App::command(name, &["python3", "-c", script]).process(&format!("env: {{ANSWER: {answer}}}"))
}

