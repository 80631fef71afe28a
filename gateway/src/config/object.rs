//! What an object of a cluster stands for.

use std::path::Path;

use activator::AppId;

use super::convert::settings;
use super::document;
use super::origin::Origin;
use super::problem::Finding;
use super::settings::AppConfig;
use super::shape::Shape;
use super::yaml::Node;

/// The settings that one `HTTPApp` stands for, as the API server gives it.
///
/// To be given every object as it comes, not through a typed [`HttpApp`](activator::resource::HttpApp): of those, one that a newer
/// or older definition has let in would end the whole watch.
///
/// What the API server adds and the status are left out of account; so are fields of `spec` that are not known here, as they
/// come with a definition that is newer than this program. Routes that another app has are another matter: see
/// [`grant`](super::grant::grant).
///
/// # Errors
/// All that is wrong with it, never nothing. No [`Finding`] has a line.
pub fn from_object(object: &serde_json::Value) -> Result<(AppId, AppConfig), Vec<Finding>> {
    let mut tree = Node::from_json(object);
    document::strip(&mut tree);
    Shape::root().prune(&mut tree);
    let result = settings(&tree, Path::new(""), Origin::Cluster);
    result.map_err(|faulty| faulty.found.into_iter().map(|finding| Finding { line: None, ..finding }).collect())
}

#[cfg(test)]
mod tests;
