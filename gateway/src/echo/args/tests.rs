use std::time::Duration;

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    echo: EchoArgs,
}

fn parse(line: &str) -> Result<EchoArgs, clap::Error> {
    Cli::try_parse_from(std::iter::once("echo").chain(line.split_whitespace())).map(|cli| cli.echo)
}

#[test]
fn flags_become_settings() {
    let args = parse("--port 8123 --start-delay 2s --concurrency 10 --exit-code 3 --exit-after 50ms").unwrap();
    assert_eq!(args.port, 8123);
    assert_eq!(args.start_delay.0, Duration::from_secs(2));
    assert_eq!(args.concurrency.map(NonZeroU32::get), Some(10));
    assert_eq!((args.exit_code, args.exit_after.0), (Some(3), Duration::from_millis(50)));
    assert_eq!(args.manner(), Manner::Http);
    assert_eq!(parse("--garbage").unwrap().manner(), Manner::Garbage);
    assert_eq!(parse("--hang").unwrap().manner(), Manner::Hang);
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    assert!(parse("--garbage --hang").is_err());
    assert!(parse("--exit-after 1s").is_err());
    assert!(parse("--concurrency 0").is_err());
}
