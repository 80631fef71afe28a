use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::config::shape::{Kind, Shape};

/// Longest word that is compared; the effort grows with its square.
const LONGEST: usize = 64;
/// Most letters that may be wrong.
const FARTHEST: usize = 3;

/// Where each field is, by name.
static PLACES: LazyLock<BTreeMap<&'static str, Vec<String>>> = LazyLock::new(|| {
    let mut places = BTreeMap::new();
    collect(Shape::root(), "", &mut places);
    places
});

fn collect(shape: Shape, path: &str, places: &mut BTreeMap<&'static str, Vec<String>>) {
    let Some(object) = shape.object() else { return };
    for (name, field) in object.fields() {
        places.entry(name).or_default().push(path.to_owned());
        let list = if field.kind() == Kind::List { "[]" } else { "" };
        let dot = if path.is_empty() { "" } else { "." };
        collect(field, &format!("{path}{dot}{name}{list}"), places);
    }
}

/// What to do about a field that a mapping of this shape does not have.
pub(super) fn for_unknown_field(name: &str, shape: Shape) -> String {
    let fields: Vec<_> = shape.fields().map(|(name, _)| name).collect();
    if let Some(near) = nearest(name, fields.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if let Some([place]) = PLACES.get(name).map(Vec::as_slice) {
        return match place.as_str() {
            "" => "it belongs at the top of the document".to_owned(),
            place => format!("it belongs in `{place}`"),
        };
    }
    if fields.is_empty() {
        return "there is no field here".to_owned();
    }
    let names: Vec<_> = fields.iter().map(|name| format!("`{name}`")).collect();
    format!("known here: {}", names.join(", "))
}

/// The word that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let (lower, length) = (word.to_lowercase(), word.chars().count());
    words
        // Those alone that may be near enough: the rest need not be compared.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= FARTHEST)
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().min(word.len()).div_ceil(3).min(FARTHEST))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
