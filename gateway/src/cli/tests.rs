use std::path::Path;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn run(flags: &[&str]) -> Result<Box<RunArgs>, String> {
    let all = [&["zerogate", "run", "apps.yaml"], flags].concat();
    match Cli::try_parse_from(all).map_err(|e| e.to_string())?.command {
        Command::Run(args) => Ok(args),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
    let about = Cli::command().get_about().unwrap().to_string();
    assert!(about.starts_with("Puts apps to sleep"), "{about}");
}

#[test]
fn it_listens_where_the_readme_says() {
    let args = run(&[]).unwrap();
    assert_eq!((args.http.to_string(), args.admin.to_string()), ("127.0.0.1:8080".into(), "127.0.0.1:9090".into()));
}

#[test]
fn every_flag_of_run_has_its_environment_variable() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let flags: Vec<_> = run.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long != "help")).collect();
    assert!(flags.len() > 10);
    for flag in flags {
        let expected = format!("ZEROGATE_{}", flag.get_long().unwrap().to_uppercase().replace('-', "_"));
        assert_eq!(flag.get_env().and_then(|env| env.to_str()), Some(expected.as_str()));
    }
}

#[test]
fn proxies_are_trusted_by_network_or_address_or_not_at_all() {
    let trusted = |text: &str| run(&["--trusted-proxies", text]).map(|args| args.trusted_proxies.0);
    let networks = |all: &[&str]| all.iter().map(|net| net.parse::<IpNet>().unwrap()).collect::<Vec<_>>();
    assert_eq!(trusted("10.0.0.0/8, 192.0.2.1,::1").unwrap(), networks(&["10.0.0.0/8", "192.0.2.1/32", "::1/128"]));
    assert_eq!(trusted("::ffff:192.0.2.1").unwrap(), networks(&["192.0.2.1/32"]));
    assert_eq!(trusted("").unwrap(), networks(&[]));
    assert!(trusted("10.0.0.0/8,proxy").unwrap_err().contains("`proxy` is no network or address"));
    assert_eq!(run(&[]).unwrap().trusted_proxies.0, networks(&["127.0.0.0/8", "::1/128"]));
}

#[test]
fn namespaces_are_names_and_none_is_empty() {
    let given = |text: &str| {
        let namespaces = format!("--namespaces={text}");
        match Cli::try_parse_from(["zerogate", "run", "--kubernetes", &namespaces]).map_err(|e| e.to_string())?.command
        {
            Command::Run(args) => Ok(args.namespaces),
            other => Err(format!("{other:?}")),
        }
    };
    assert_eq!(given("a").unwrap(), ["a"]);
    assert_eq!(given(" a, team-2 ,0").unwrap(), ["a", "team-2", "0"]);
    for empty in ["", " ", "a,", ",a", "a, ,b"] {
        let said = given(empty).unwrap_err();
        assert!(said.contains("--namespaces") && said.contains("a name is empty"), "{empty:?}: {said}");
    }
    let long = "x".repeat(64);
    for (bad, name) in
        [("a,A", "A"), ("a b", "a b"), ("-a", "-a"), ("a-", "a-"), ("b,a.b", "a.b"), ("ä", "ä"), (&long, &long)]
    {
        let said = given(bad).unwrap_err();
        assert!(said.contains(&format!("`{name}` is no name of a namespace")), "{bad:?}: {said}");
    }
}

#[test]
fn every_command_that_the_documents_name_is_one() {
    let command = Cli::command();
    let mut named = 0;
    for document in ["README.md", "docs/httpapp.md", "docs/keda.md", "docs/operations.md", "loadtests/README.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(document);
        let text = std::fs::read_to_string(path).unwrap();
        // As code: after a backtick, or at the beginning of a line.
        for line in text.replace('`', "\n").lines().filter_map(|line| line.strip_prefix("zerogate ")) {
            let words = std::iter::once("zerogate").chain(line.split(['#', '|']).next().unwrap().split_whitespace());
            let word = line.split_whitespace().next().unwrap();
            assert!(command.find_subcommand(word).is_some(), "{document}: zerogate {line}");
            if let Err(error) = Cli::try_parse_from(words) {
                // All but what only names a command or a flag.
                let missing = [ErrorKind::MissingRequiredArgument, ErrorKind::InvalidValue, ErrorKind::DisplayHelp];
                assert!(missing.contains(&error.kind()), "{document}: zerogate {line}: {error}");
            }
            named += 1;
        }
    }
    assert!(named > 5);
}

#[test]
fn several_gateways_need_a_cluster_and_their_certificates_each_other() {
    let given = |flags: &[&str]| {
        let all = [&["zerogate", "run", "--kubernetes"], flags].concat();
        Cli::try_parse_from(all).map(drop).map_err(|e| e.to_string())
    };
    let alone = run(&["--fleet", "127.0.0.1:9092"]).unwrap();
    let said = crate::fleet::Joining::prepare(&alone).err().unwrap();
    assert!(said.contains("--kubernetes"), "{said}");
    let fleet = ["--fleet=127.0.0.1:9092"];
    let tls = ["--fleet-cert=c", "--fleet-key=k", "--fleet-ca=a"];
    assert_eq!(given(&fleet), Ok(()));
    assert_eq!(given(&[&fleet[..], &tls].concat()), Ok(()));
    assert!(given(&tls).unwrap_err().contains("--fleet <ADDR>"));
    for missing in 0..tls.len() {
        let mut some = [&fleet[..], &tls].concat();
        let flag = some.remove(1 + missing).split('=').next().unwrap().to_owned();
        assert!(given(&some).unwrap_err().contains(&flag), "{flag}");
    }
}
