use proptest::prelude::*;

use super::{Document, Documents, Fault, Value};

fn one(text: &str) -> Document {
    let mut all: Vec<_> = Documents::new(text).collect();
    assert_eq!(all.len(), 1, "{text}: {all:?}");
    all.remove(0).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

fn fault(text: &str) -> Fault {
    Documents::new(text).find_map(Result::err).unwrap_or_else(|| panic!("no fault in {text}"))
}

#[test]
fn scalars_are_those_of_yaml_1_2() {
    for (text, json) in [
        ("a", r#""a""#),
        ("'1'", r#""1""#),
        ("1", "1"),
        ("-1", "-1"),
        ("0x10", "16"),
        ("0o10", "8"),
        ("010", "10"),
        ("1.5", "1.5"),
        ("1e3", "1000.0"),
        (".5", "0.5"),
        ("99999999999999999999", "1e20"),
        ("true", "true"),
        ("yes", r#""yes""#),
        ("1:30", r#""1:30""#),
        ("1.2.3", r#""1.2.3""#),
        ("1_000", r#""1_000""#),
        ("127.0.0.1", r#""127.0.0.1""#),
        ("-", r#"[null]"#),
        ("e3", r#""e3""#),
        ("!!str 5", r#""5""#),
        ("!!int 5", "5"),
        ("[a, {b: ~}]", r#"["a",{"b":null}]"#),
        ("{1: a, true: b}", r#"{"1":"a","true":"b"}"#),
        ("|\n a\n b\n", r#""a\nb\n""#),
    ] {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(one(text).root.to_json(), json, "{text}");
    }
    assert!(matches!(one(".nan").root.value, Value::Float(number) if number.is_nan()));
}

#[test]
fn empty_documents_are_not_counted() {
    let text = "---\n# nothing\n---\na: 1\n---\n---\nb: 2\n---\n";
    let all: Vec<_> = Documents::new(text).map(Result::unwrap).collect();
    assert_eq!(all.iter().map(|document| (document.number, document.root.line)).collect::<Vec<_>>(), [(1, 4), (2, 7)]);
    assert_eq!(Documents::new("").count(), 0);
    assert_eq!(Documents::new("\u{feff}# only a remark\n").count(), 0);
}

#[test]
fn fields_know_their_line() {
    let root = one("a:\n  b.c: 1\n  b:\n    - x\n    - y:\n        z: 2\n").root;
    for (path, line) in [
        ("a", 1),
        ("a.b.c", 2),
        ("a.b", 3),
        ("a.b[0]", 4),
        ("a.b[1].y.z", 6),
        ("a.b[1].y.w", 6),
        ("a.b[7]", 4),
        ("nowhere", 1),
    ] {
        assert_eq!(root.line_of(path), line, "{path}");
    }
}

#[test]
fn repeated_keys_are_found() {
    let document = one("a:\n- b: 1\n- c: 1\n  d: 2\n  c: 3\na: 4\n");
    let repeated: Vec<_> = document.repeated.iter().map(|key| (key.field.as_str(), key.line, key.first)).collect();
    assert_eq!(repeated, [("a[1].c", 5, 3), ("a", 6, 1)]);
    assert_eq!(document.root.get("a").unwrap().to_json(), serde_json::json!([{"b": 1}, {"c": 1, "d": 2}]));
}

#[test]
fn aliases_stand_for_their_value() {
    let document = one("a: &x {b: [1, &y two]}\nc: *x\nd: *y\n*y : 3\n");
    assert_eq!(
        document.root.to_json(),
        serde_json::json!({"a": {"b": [1, "two"]}, "c": {"b": [1, "two"]}, "d": "two", "two": 3})
    );
    assert_eq!(document.root.line_of("c"), 2);
}

#[test]
fn a_fault_says_where_and_the_next_document_is_read() {
    let text = "a: 1\n---\nb: [1, 2\n---\nc: 3\n";
    let all: Vec<_> = Documents::new(text).collect();
    assert_eq!(all.len(), 3, "{all:?}");
    let fault = all[1].as_ref().unwrap_err();
    assert_eq!((fault.document, fault.line), (2, 3), "{fault:?}");
    assert!(fault.what.starts_with("is not YAML: "), "{fault:?}");
    assert_eq!(all[2].as_ref().unwrap().number, 3);
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in ('b'..='z').zip('a'..) {
        laughs.push_str(&format!("{this}: &{this} [{}]\n", vec![format!("*{last}"); 9].join(", ")));
    }
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), ["*a"; 100].join(", "));
    let many = format!("[{}]", "x,".repeat(100_001));
    for (text, what) in [
        (laughs.as_str(), "has more than 100000 values"),
        (&text, "repeats more than 1048576 bytes"),
        (&many, "has more than 100000 values"),
        (&"[".repeat(100_000), "has more than 64 levels"),
        (&"- ".repeat(100_000), "has more than 64 levels"),
        (&"? ".repeat(100_000), "as the key of a mapping"),
        (&"{a: ".repeat(100_000), "has more than 64 levels"),
        ("&a [*a]", "itself part of"),
        ("{[a]: b}", "as the key of a mapping"),
        ("a: {<<: {b: 1}}", "has a merge key"),
        ("!secret a", "has the tag `!secret`"),
        ("!secret [a]", "has the tag `!secret`"),
        ("*nowhere", "is not YAML"),
        ("\"a", "is not YAML"),
        ("a: b: c", "is not YAML"),
        ("a\u{0}b", "is not YAML"),
    ] {
        let fault = fault(text);
        assert!(fault.what.contains(what), "{what}: {fault:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in r#"([ab:,\[\]{}&*!|>'"%#?<~0.\n -]|---\n|: |\n  |- ){0,80}"#) {
        for document in Documents::new(&text).flatten() {
            document.root.to_json();
        }
    }
}
