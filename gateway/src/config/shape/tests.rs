use super::{HTTP_APP, Shape};

/// Calls `visit` with every field and its path.
fn each_field(shape: &Shape, path: &str, visit: &mut impl FnMut(&str, &super::Field)) {
    for field in shape.fields() {
        let path = format!("{path}.{}", field.name);
        visit(&path, field);
        if let Some(object) = field.shape.object() {
            each_field(object, &path, visit);
        }
    }
}

#[test]
fn every_field_is_described_and_has_a_default_or_is_required() {
    let mut count = 0;
    each_field(&HTTP_APP, "", &mut |path, field| {
        count += 1;
        assert!(field.description.ends_with('.'), "{path}: {}", field.description);
        assert!(!field.description.contains('\n'), "{path}: {}", field.description);
        let free = [".metadata.labels", ".metadata.annotations", ".spec.limits.perClient.header"].contains(&path)
            || path.contains(".readiness.")
            || path
                .rsplit_once('.')
                .is_some_and(|(parent, _)| [".spec.target", ".spec.target.service"].contains(&parent));
        assert!(field.required != field.default.is_some() || free, "{path}");
        assert!(!field.required || field.example().is_some() || [".apiVersion", ".kind"].contains(&path), "{path}");
    });
    assert!(count > 50, "{count}");
}

#[test]
fn every_default_is_within_its_range() {
    each_field(&HTTP_APP, "", &mut |path, field| match (&field.shape, &field.default) {
        (Shape::Duration { least, most, .. }, Some(default)) => {
            let default: activator::resource::human::HumanDuration = default.as_str().unwrap().parse().unwrap();
            assert!((*least..=*most).contains(&default.0), "{path}");
        }
        (Shape::Integer { least, most }, Some(default)) => {
            assert!((*least..=*most).contains(&default.as_i64().unwrap()), "{path}");
        }
        (Shape::Number { least, most }, Some(default)) => {
            assert!((*least..=*most).contains(&default.as_f64().unwrap()), "{path}");
        }
        (Shape::Text { choices, .. }, Some(default)) if !choices.is_empty() => {
            assert!(choices.iter().any(|choice| *default == choice.word), "{path}");
        }
        _ => {}
    });
}
