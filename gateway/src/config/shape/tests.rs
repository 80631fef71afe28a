use activator::resource::human::HumanDuration;

use super::{Kind, Shape};

/// Calls `visit` with every field, its path, and whether it has to be given.
fn each_field(shape: Shape, path: &str, visit: &mut impl FnMut(&str, Shape, bool)) {
    for (name, field) in shape.fields() {
        let path = format!("{path}.{name}");
        visit(&path, field, shape.requires(name));
        if let Some(object) = field.object() {
            each_field(object, &path, visit);
        }
    }
}

#[test]
fn every_field_is_described_and_has_a_default_or_is_required() {
    let mut count = 0;
    each_field(Shape::root(), "", &mut |path, field, required| {
        count += 1;
        let description = field.description();
        assert!(description.ends_with('.'), "{path}: {description}");
        assert!(!description.contains('\n'), "{path}: {description}");
        let optional = [".spec.limits.perClient.header", ".spec.affinity.header", ".spec.forwarding.host"];
        let free = [".metadata.labels", ".metadata.annotations"].contains(&path)
            || optional.contains(&path)
            || path.contains(".readiness.")
            || path.rsplit_once('.').is_some_and(|(parent, _)| {
                [".spec.target", ".spec.target.service", ".spec.target.tls"].contains(&parent)
            })
            || [".spec.tls.certificate", ".spec.tls.key", ".spec.tls.secretName"].contains(&path);
        assert!(required != field.default().is_some() || free, "{path}");
        let plain = [".apiVersion", ".kind", ".spec", ".spec.target"].contains(&path);
        assert!(!required || field.example().is_some() || plain, "{path}");
    });
    assert!(count > 50, "{count}");
}

#[test]
fn every_default_is_within_its_range() {
    let mut count = 0;
    each_field(Shape::root(), "", &mut |path, field, _| {
        let Some(default) = field.default() else { return };
        let number = |name: &str| field.0[name].as_f64().unwrap();
        let good = match field.kind() {
            Kind::Duration => {
                let (least, most, _) = field.durations();
                let default: HumanDuration = default.as_str().unwrap().parse().unwrap();
                assert!(!most.is_zero(), "{path}");
                (least..=most).contains(&default.0)
            }
            Kind::Integer | Kind::Number => {
                (number("minimum")..=number("maximum")).contains(&default.as_f64().unwrap())
            }
            Kind::Word => field.words().contains(&default.as_str().unwrap()),
            _ => return,
        };
        count += 1;
        assert!(good, "{path}");
    });
    assert!(count > 20, "{count}");
}
