use std::borrow::Cow;

use granit_parser::Tag;

use super::Value;

/// What a scalar is by YAML 1.2's core schema. `plain` is one without quotes.
///
/// # Errors
/// It has a tag other than those of the core schema.
pub(super) fn resolve(text: Cow<'_, str>, plain: bool, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        None if plain => Ok(resolve_plain(text)),
        None => Ok(Value::Text(text.into_owned())),
        Some(tag) if tag.is_yaml_core_schema_tag("str") || tag.original() == "!" => Ok(Value::Text(text.into_owned())),
        Some(tag) if ["int", "float", "bool", "null"].iter().any(|name| tag.is_yaml_core_schema_tag(name)) => {
            Ok(resolve_plain(text))
        }
        Some(tag) => Err(unknown(tag)),
    }
}

/// Whether the tag of a list or mapping changes nothing.
///
/// # Errors
/// It does.
pub(super) fn collection_tag(tag: Option<&Tag>) -> Result<(), String> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag("map") && !tag.is_yaml_core_schema_tag("seq") => Err(unknown(tag)),
        _ => Ok(()),
    }
}

fn unknown(tag: &Tag) -> String {
    format!("has the tag {}, which means nothing here; remove it", super::super::problem::quoted(&tag.original()))
}

fn resolve_plain(text: Cow<'_, str>) -> Value {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        number => resolve_number(number).unwrap_or_else(|| Value::Text(text.into_owned())),
    }
}

fn resolve_number(text: &str) -> Option<Value> {
    let radix =
        |digits: &str, radix| i64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']));
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16).map(Value::Int);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8).map(Value::Int);
    }
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    match magnitude {
        ".inf" | ".Inf" | ".INF" => {
            let negative = text.starts_with('-');
            return Some(Value::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        ".nan" | ".NaN" | ".NAN" => return (magnitude == text).then_some(Value::Float(f64::NAN)),
        _ => {}
    }
    let first = magnitude.trim_start_matches('.').bytes().next()?;
    if !first.is_ascii_digit()
        || !magnitude.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    match text.parse() {
        Ok(number) => Some(Value::Int(number)),
        Err(_) => text.parse().ok().map(Value::Float),
    }
}
