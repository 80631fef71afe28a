//! The program `zerogate`: an edge proxy that lets apps sleep at zero replicas.

mod access_log;
mod admin;
mod cli;
mod config;
mod echo;
mod edge;
mod external_scaler;
mod fleet;
mod limits;
mod listening;
mod memory;
mod run;
mod shutdown;
mod source;
mod telemetry;
#[cfg(test)]
mod testing;
mod tls;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, ReferenceFormat};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Check(args) => config::check(&args.files(), &mut std::io::stdout()),
        Command::Crd => print_crd(),
        Command::Keda(args) => external_scaler::scaled_object::print(&args, &mut std::io::stdout()),
        Command::Reference(args) => {
            match args.format {
                ReferenceFormat::Markdown => print!("{}", config::reference::markdown()),
                ReferenceFormat::JsonSchema => println!("{:#}", activator::resource::schema::json_schema()),
            }
            ExitCode::SUCCESS
        }
        Command::Echo(args) => echo::main(args),
        Command::Guardian => {
            activator::platform::process::guardian_main();
            ExitCode::SUCCESS
        }
    }
}

fn print_crd() -> ExitCode {
    match config::crd::yaml() {
        Ok(yaml) => {
            print!("{yaml}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("zerogate: the definition cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}
