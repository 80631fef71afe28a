use super::{Panel, svg};

#[test]
fn the_highest_point_is_at_the_top_and_the_last_at_the_right() {
    let drawn =
        svg(&[Panel { title: "replicas", curves: vec![("ready", vec![(0.0, 0.0), (60.0, 10.0), (120.0, 5.0)])] }]);
    assert!(drawn.contains("points=\"70.0,166.0 505.0,36.0 940.0,101.0\""), "{drawn}");
}

#[test]
fn nothing_to_draw_is_no_division_by_zero() {
    assert!(!svg(&[Panel { title: "empty", curves: vec![("none", vec![])] }]).contains("NaN"));
}
