//! `cargo xtask`: the command line of the house's tools.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks to its user"
)]

use std::env;
use std::error::Error as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use ggml_agent_xtask::{Error, instructions, process, promises, sabotage, tidy};

const HELP: &str = "\
cargo xtask promises [--quiet]      lists each promise of docs/semantics.md with its tests
cargo xtask tidy                    checks what compiler and clippy cannot
cargo xtask sabotage [NAME...]      plants each bug of sabotage.toml and says which tests catch it
cargo xtask instructions            counts the instructions of each hot path (needs valgrind) and
                                    writes benches/instructions.md
cargo xtask instructions --check    says which paths have changed by more than 2 % since then

Exit codes: 0 all is well, 1 something was found, 2 the tool could not do its work.";

fn main() -> ExitCode {
    let args: Vec<String> =
        env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let mut line = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                line.push_str(": ");
                line.push_str(&cause.to_string());
                source = cause.source();
            }
            eprintln!("error: {line}");
            ExitCode::from(2)
        }
    }
}

/// Runs what `args` ask for and says whether all is well.
fn run(args: &[&str]) -> Result<bool, Error> {
    let root = process::root();
    match args {
        ["promises"] => promises(&promises::Ledger::read(&root)?, false),
        ["promises", "--quiet"] => promises(&promises::Ledger::read(&root)?, true),
        ["tidy"] => {
            let found = tidy::check(&root)?;
            for warning in &found.warnings {
                println!("warning: {warning}");
            }
            for problem in &found.problems {
                eprintln!("error: {problem}");
            }
            Ok(found.problems.is_empty())
        }
        ["sabotage", names @ ..] if names.iter().all(|name| !name.starts_with('-')) => {
            sabotage::run(
                &root,
                &process::target_dir(&root).join("sabotage"),
                names,
                &mut io::stdout().lock(),
            )
        }
        ["instructions"] => count(&root, instructions::Mode::Write),
        ["instructions", "--check"] => count(&root, instructions::Mode::Check),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(true)
        }
        _ => Err(Error::Usage(format!("not a command of this tool\n\n{HELP}"))),
    }
}

fn count(root: &Path, mode: instructions::Mode) -> Result<bool, Error> {
    let base = process::target_dir(root).join("instructions");
    instructions::run(root, &base, mode, &mut io::stdout().lock())
}

fn promises(ledger: &promises::Ledger, quiet: bool) -> Result<bool, Error> {
    if quiet {
        println!("{}", ledger.summary());
    } else {
        print!("{ledger}");
    }
    let problems = ledger.problems();
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    Ok(problems.is_empty())
}
