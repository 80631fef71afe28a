use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Trigger, String> {
    let metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Trigger::read(&metadata, "here").map_err(|mistake| mistake.to_string())
}

#[test]
fn what_is_not_said_is_left_to_the_app() {
    let nothing = Trigger { app: None, metric: None, target: None, polling_interval: Duration::from_secs(30) };
    assert_eq!(read(&[]), Ok(nothing.clone()));
    let others =
        [("scalerAddress", "zerogate:9091"), ("enableTLS", "true"), ("unsafeSsl", "false"), ("metricThreshold", "10")];
    assert_eq!(read(&others), Ok(nothing), "what is KEDA's or nobody's is passed over");
}

#[test]
fn what_is_said_counts() {
    let all = [("app", "shop/api"), ("metric", "requestRate"), ("target", " 2.5 "), ("pollingInterval", "5")];
    let trigger = read(&all).unwrap();
    assert_eq!(trigger.app, Some(AppId::new("shop", "api")));
    assert_eq!((trigger.metric, trigger.target), (Some(Metric::RequestRate), Some(2.5)));
    assert_eq!(trigger.polling_interval, Duration::from_secs(5));
    assert_eq!(read(&[("app", "api")]).unwrap().app, Some(AppId::new("here", "api")));
}

#[test]
fn what_comes_from_the_environment_counts_unless_it_is_said() {
    assert_eq!(read(&[("targetFromEnv", "7")]).unwrap().target, Some(7.0));
    for pairs in [[("target", "8"), ("targetFromEnv", "7")], [("targetFromEnv", "7"), ("target", "8")]] {
        assert_eq!(read(&pairs).unwrap().target, Some(8.0));
    }
}

#[test]
fn a_misspelt_key_is_named_and_what_was_meant() {
    for (key, meant) in [
        ("apps", "app"),
        ("App", "app"),
        ("metrics", "metric"),
        ("metirc", "metric"),
        ("traget", "target"),
        ("pollinginterval", "pollingInterval"),
        ("tragetFromEnv", "target"),
    ] {
        let said = read(&[(key, "1")]).unwrap_err();
        assert_eq!(said, format!("the trigger's metadata `{key}`: there is no such key; did you mean `{meant}`?"));
    }
}

#[test]
fn a_value_that_cannot_be_is_named_with_its_key() {
    for (key, value, words) in [
        ("app", "", "`` is no app; give NAME or NAMESPACE/NAME"),
        ("app", "a/b/c", "`a/b/c` is no app"),
        ("app", "/b", "`/b` is no app"),
        (
            "metric",
            "concurency",
            "is `concurency`, and can be `concurrency` or `requestRate`; did you mean `concurrency`?",
        ),
        ("metric", "cpu", "is `cpu`, and can be `concurrency` or `requestRate`"),
        ("target", "0", "is `0`, and has to be a number from 0.001 to 1000000000"),
        ("target", "-3", "is `-3`"),
        ("target", "NaN", "is `NaN`"),
        ("target", "inf", "is `inf`"),
        ("target", "ten", "is `ten`"),
        ("pollingInterval", "0", "is `0`, and has to be a number of seconds from 1 to 3600"),
        ("pollingInterval", "30s", "is `30s`"),
    ] {
        let said = read(&[(key, value)]).unwrap_err();
        assert!(said.starts_with(&format!("the trigger's metadata `{key}`: ")) && said.contains(words), "{said}");
    }
}

#[test]
fn a_long_value_is_not_given_back_whole() {
    let said = read(&[("target", &"9é".repeat(10_000))]).unwrap_err();
    assert!(said.len() < 300, "{}", said.len());
}
