//! The definition of `HTTPApp` to install in a cluster, as it is printed.

use activator::resource::schema;

/// `manifests/crd.yaml`.
///
/// # Errors
/// It cannot be written as YAML.
pub fn yaml() -> Result<String, String> {
    let head =
        "# Made from the types in activator/src/resource. To make it anew: UPDATE_DOCS=1 cargo test -p gateway crd\n";
    let yaml = serde_saphyr::to_string(&schema::crd()).map_err(|error| error.to_string())?;
    Ok(format!("{head}{yaml}"))
}

#[cfg(test)]
mod tests;
