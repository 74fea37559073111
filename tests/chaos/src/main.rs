//! `./dev chaos`: the whole system under traffic, broken on purpose, one scenario after another.
//!
//! A seed repeats the schedule, not the interleaving. The checker decides from the observers' logs and a dump; a
//! fault that no observer witnessed counts as not run. docs/reliability.md tells what must hold.

mod arguments;
mod battery;
mod observed;
mod report;
mod run;
mod runner;

use std::process::ExitCode;

use arguments::Arguments;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        battery::all().for_each(|scenario| println!("{:<4} {:<24} {}", scenario.id, scenario.name, scenario.about));
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(runner::run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
