use super::{Row, table};

#[test]
fn a_missed_goal_is_told() {
    let rows = [Row::goal("a", "1 s", "2 s", true), Row::goal("b", "3 s", "2 s", false), Row::note("c", "4 s")];
    let table = table(&rows, "here");
    let lines: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(lines, ["| a | 1 s | 2 s | here |", "| b | 3 s **(missed)** | 2 s | here |", "| c | 4 s |  | here |"]);
}
