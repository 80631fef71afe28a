use activator::resource::{Document, SERVER_FIELDS};

use super::problem::Finding;
use super::yaml::Node;

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

/// The document that a tree of the right shape is.
///
/// # Errors
/// It is none, which [`conform`](super::conform::conform) should have told.
pub(super) fn read(tree: &Node) -> Result<Document, Vec<Finding>> {
    serde_json::from_value(tree.to_json()).map_err(|error| {
        vec![Finding { line: Some(tree.line), field: String::new(), message: format!("is not understood: {error}") }]
    })
}
