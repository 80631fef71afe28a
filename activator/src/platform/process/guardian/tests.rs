use super::*;

fn left(changes: &str) -> Vec<i32> {
    let mut left: Vec<_> = left_at_end(changes.as_bytes()).into_iter().map(Pid::as_raw_pid).collect();
    left.sort_unstable();
    left
}

#[test]
fn keeps_what_was_added_and_not_removed() {
    assert_eq!(left("+10\n+11\n+10\n-11\n+12\n-99\n"), [10, 12]);
}

#[test]
fn a_process_that_announced_itself_counts_until_more_is_known() {
    assert_eq!(left("?10\n"), [10]);
    assert_eq!(left("+9\n?10\n+10\n"), [9, 10]);
    // It could not be started after all, and its number may be another's by now.
    assert_eq!(left("+9\n?10\n?0\n"), [9]);
    assert_eq!(left("?10\n-9\n"), [0; 0]);
}

#[test]
fn never_kills_by_a_number_that_means_something_else() {
    assert!(left("+0\n+1\n+-5\n+\n\n5\nx7\n+ 8\n?0\n?1\n").is_empty());
}

#[test]
fn tells_one_line_each() {
    let (reader, writer) = UnixStream::pair().expect("sockets");
    let group = Pid::from_raw(i32::MAX);
    announce(&writer).expect("written");
    tell(&writer, Change::Added, group).expect("written");
    tell(&writer, Change::Removed, group).expect("written");
    drop(writer);
    let told = format!("?{}\n+2147483647\n-2147483647\n", std::process::id());
    assert_eq!(io::read_to_string(reader).expect("read"), told);
}
