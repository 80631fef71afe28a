use super::*;

async fn lines_of(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    read(bytes, |line| lines.push(line.to_owned()), |_| None).await;
    lines
}

#[tokio::test]
async fn gives_lines_without_their_ends() {
    assert_eq!(lines_of(b"one\ntwo\r\n\nlast").await, ["one", "two", "last"]);
}

#[tokio::test]
async fn what_is_not_utf8_is_marked() {
    assert_eq!(lines_of(b"a\xffb\n").await, ["a\u{fffd}b"]);
}

#[tokio::test]
async fn a_line_without_end_comes_in_pieces() {
    let mut bytes = vec![b'x'; 2 * LONGEST_LINE + 5];
    bytes.extend_from_slice(b"\nnext\n");
    let lengths: Vec<_> = lines_of(&bytes).await.iter().map(String::len).collect();
    assert_eq!(lengths, [LONGEST_LINE, LONGEST_LINE, 5, 4]);
}

#[test]
fn the_tail_keeps_the_last_lines_cut_to_size() {
    let mut tail = Tail::default();
    for number in 0..25 {
        tail.push(&format!("{number} {}", "ä".repeat(KEPT_BYTES)));
    }
    assert_eq!(tail.0.len(), KEPT_LINES);
    assert!(tail.0[0].starts_with("15 ") && tail.0[9].starts_with("24 "));
    assert!(tail.0.iter().all(|line| line.len() <= KEPT_BYTES));
}

#[tokio::test(start_paused = true)]
async fn whoever_prints_too_much_waits() {
    // As much as is read in three seconds.
    let printed = b"a line of some length\n".repeat(3 * allowance::READ / 22);
    let clock = Clock::running();
    let printing = Printed {
        app: AppId::new("default", "a"),
        pid: 1,
        clock: clock.clone(),
        allowance: Arc::default(),
        tail: Arc::default(),
    };
    read(&printed[..], |line| printing.line(line), |bytes| printing.read(bytes)).await;
    let took = clock.now().since(crate::clock::Timestamp::ZERO);
    assert!((2..=3).contains(&took.as_secs()), "{took:?}");
    let left_out = printing.allowance.lock().rest().expect("most of it");
    assert!(left_out.lines < (allowance::READ / 22) as u64, "of the seconds before it was told: {left_out:?}");
    assert_eq!(printing.tail.lock().0.len(), KEPT_LINES, "the last words are kept all the same");
}

#[tokio::test]
async fn somebody_who_keeps_the_pipe_open_is_not_waited_for() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut writer, b"last words\n").expect("write");
    let output = Output::follow(reader, AppId::new("default", "a"), 1, Clock::running(), Arc::default());
    let said = tokio::time::timeout(Duration::from_secs(5), output.last_words()).await;
    assert_eq!(said.expect("not waited for"), ["last words"]);
    // The reader goes too: whoever holds the pipe notices on writing.
    let gone = async {
        while std::io::Write::write_all(&mut writer, b"more\n").is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("the pipe is closed");
}
