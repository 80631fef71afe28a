use activator::resource::{Document, SERVER_FIELDS};

use super::problem::Finding;
use super::yaml::{Node, Value};

/// Takes away what an API server has added.
pub(super) fn strip(tree: &mut Node) {
    for path in SERVER_FIELDS {
        match path.split_once('.') {
            Some((parent, field)) => {
                if let Some(parent) = tree.get_mut(parent) {
                    parent.remove(field);
                }
            }
            None => tree.remove(path),
        }
    }
}

/// The objects in a list, as `kubectl get -o yaml` prints several; `None` if it is none.
pub(super) fn items(tree: &mut Node) -> Option<Vec<Node>> {
    if tree.get("apiVersion")?.as_text()? != "v1" || tree.get("kind")?.as_text()? != "List" {
        return None;
    }
    match &mut tree.get_mut("items")?.value {
        Value::List(items) => Some(std::mem::take(items)),
        _ => None,
    }
}

/// Whether this is clearly something else, such as the Deployment that stands beside an `HTTPApp`.
pub(super) fn is_of_another_kind(tree: &Node) -> bool {
    let text = |key| tree.get(key).and_then(Node::as_text);
    match (text("apiVersion"), text("kind")) {
        (Some(version), Some(kind)) => {
            version.split('/').next() != Some("zerogate.dev") && !kind.eq_ignore_ascii_case("HTTPApp")
        }
        _ => false,
    }
}

/// The document that a tree of the right shape is.
///
/// # Errors
/// It is none, which [`conform`](super::conform::conform) should have told.
pub(super) fn read(tree: &Node) -> Result<Document, Vec<Finding>> {
    serde_json::from_value(tree.to_json()).map_err(|error| {
        vec![Finding { line: Some(tree.line), field: String::new(), message: format!("is not understood: {error}") }]
    })
}
