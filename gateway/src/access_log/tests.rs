use std::sync::mpsc::Sender;

use activator::Clock;

use super::*;

/// Takes what is written once it may, and takes its time.
struct Reader {
    may: Receiver<()>,
    seen: Sender<String>,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An error means that it need not wait any more.
        let _ = self.may.recv();
        thread::sleep(Duration::from_millis(2));
        self.seen.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tell(log: &AccessLog, path: &str) {
    let now = Clock::manual().now();
    let request = Request::get(path).body(()).unwrap();
    let entry = Entry::new(&request, &HeaderValue::from_static("h"), [127, 0, 0, 1].into(), now);
    log.write(&entry, Some(&AppId::new("default", "a")), Some(StatusCode::OK), 5, true, now);
}

#[test]
fn no_line_that_waits_at_the_end_is_lost() {
    let (go, may) = channel();
    let (seen, lines) = channel();
    let (log, unwritten) = AccessLog::to(Reader { may, seen }).unwrap();
    for n in 0..20 {
        tell(&log, &format!("/{n}"));
    }
    // None was written so far; from here on each may be.
    assert!(lines.try_recv().is_err());
    drop(go);
    // The log lives on in connections that nobody has closed.
    drop(unwritten);
    let paths: Vec<String> = lines
        .try_iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap()["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths, (0..20).map(|n| format!("/{n}")).collect::<Vec<_>>());
    drop(log);
}

#[test]
fn a_reader_that_takes_nothing_does_not_keep_the_end_for_ever() {
    let (go, may) = channel();
    let (seen, lines) = channel();
    let (log, unwritten) = AccessLog::to(Reader { may, seen }).unwrap();
    for _ in 0..2 * QUEUE {
        tell(&log, "/");
    }
    drop(unwritten);
    assert!(lines.try_recv().is_err());
    drop(go);
}
