use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::config::shape::{Field, HTTP_APP, Shape};

/// Longest word that is compared; the effort grows with its square.
const LONGEST: usize = 64;

/// Where each field is, by name.
static PLACES: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let mut places = BTreeMap::new();
    collect(&HTTP_APP, "", &mut places);
    places
});

fn collect(shape: &Shape, path: &str, places: &mut BTreeMap<String, Vec<String>>) {
    for field in shape.object().map(Shape::fields).unwrap_or_default() {
        places.entry(field.name.clone()).or_default().push(path.to_owned());
        let list = if matches!(field.shape, Shape::List { .. }) { "[]" } else { "" };
        let dot = if path.is_empty() { "" } else { "." };
        collect(&field.shape, &format!("{path}{dot}{}{list}", field.name), places);
    }
}

/// What to do about a field that a mapping with `fields` does not have.
pub(super) fn for_unknown_field(name: &str, fields: &[Field]) -> String {
    if let Some(near) = nearest(name, fields.iter().map(|field| field.name.as_str())) {
        return format!("did you mean `{near}`?");
    }
    if let Some([place]) = PLACES.get(name).map(Vec::as_slice) {
        return match place.as_str() {
            "" => "it belongs at the top of the document".to_owned(),
            place => format!("it belongs in `{place}`"),
        };
    }
    match fields {
        [] => "there is no field here".to_owned(),
        fields => {
            let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
            format!("known here: {}", names.join(", "))
        }
    }
}

/// The word that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    words
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().min(word.len()).div_ceil(3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
