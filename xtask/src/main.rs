//! Not trusted. Developer commands; `cargo xtask help` lists them.

mod admission;
mod annotations;
mod bare_metal;
mod bench;
mod bench_judge;
mod demo;
mod examples;
mod fuzz;
mod install;
mod interface;
mod judge;
mod kernel;
#[cfg(test)]
mod kinds;
mod loops;
mod manifests;
mod modules;
mod object;
mod offers;
mod premises;
mod run;
mod selftests;
mod series;
mod tests;
mod tidy;
mod tour;
mod trusted;
mod trusted_lines;
mod vm;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Commands for those who work on this repository.
#[derive(Parser)]
#[command(version, about, long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Which kernel: the smallest that runs the tests, or a larger one.
#[derive(clap::Args)]
struct Which {
    /// With lockdep, KASAN, DEBUG_ENTRY and other checks.
    #[arg(long)]
    debug: bool,
    /// With swap, control groups, perf and what else the long tests need.
    #[arg(long, conflicts_with = "debug")]
    stress: bool,
}

impl Which {
    fn flavor(&self) -> kernel::Flavor {
        match self {
            Which { debug: true, .. } => kernel::DEBUG,
            Which { stress: true, .. } => kernel::STRESS,
            Which { .. } => kernel::NANO,
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Everything that has to hold: format, lints, tests, bare metal. What CI runs.
    Test,
    /// Builds the judge and the verifying half of the loader for x86_64-unknown-none.
    BareMetal,
    /// Builds everything, runs the examples on real files, shows what is refused.
    Demo,
    /// Runs the examples on real files and compares them with the tools of the system.
    Examples,
    /// Compiles interface/*.tali into what the loader embeds.
    Interface,
    /// Does what README.md and two pages of docs/ say and compares what is printed.
    Tour,
    /// Takes out each premise of the judge, one at a time, and sees whether a test notices.
    Premises {
        /// Takes out each premise that has a reason together with the second one that it names.
        #[arg(long)]
        pairs: bool,
        /// Prints the table of docs/premises.md, from the sources alone.
        #[arg(long, conflicts_with = "pairs")]
        table: bool,
        /// Only those with this word in their names (file, function, text).
        only: Option<String>,
    },
    /// How much the examples say to the checker, beside the types of functions and data.
    Annotations,
    /// Changes every bit of every example's text and annotations (the tests try a sample); long.
    Mutate,
    /// Tries mutants of accepted programs, random bytes and spoiled headers; `--help` says more.
    #[command(disable_help_flag = true)]
    Fuzz {
        /// `--minutes N`, `--seed S`, `--only KIND`, `--case N`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The judge's decoder against two others, over all opcodes; minutes.
    Decoders,
    /// Time to check, assemble and verify generated programs of 10k, 50k and 200k lines.
    Bench,
    /// Requests per second of the HTTP server beside nginx; needs nginx and wrk.
    BenchServers,
    /// What judging takes: machine instructions, annotations, memory, lines (needs valgrind).
    BenchJudge {
        /// Instead: straight code of up to fifty megabytes, and hostile annotations; minutes.
        #[arg(long)]
        long: bool,
    },
    /// Instructions that accepted loops execute beside those of gcc -O2; needs gcc and valgrind.
    Loops {
        /// Only the kernels with this word in their names.
        only: Option<String>,
    },
    /// Lines of Rust that the kernel's judge is made of.
    TrustedLines,
    /// Fetches Debian's kernel source, applies kpatch/ and builds it.
    Kernel {
        #[command(flatten)]
        which: Which,
    },
    /// Checks what must hold for the series of kernel patches.
    Series {
        #[command(subcommand)]
        check: series::Check,
    },
    /// Boots that kernel in QEMU and runs a command there, or a shell.
    Vm {
        #[command(flatten)]
        which: Which,
        /// The command.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Runs the tests of the kernel in QEMU.
    VmTest {
        /// The few that CI runs.
        #[arg(long, conflicts_with_all = ["long", "debug"])]
        quick: bool,
        /// Memory pressure, swap, control groups, perf, 100 programs beside 100 for a minute.
        #[arg(long)]
        long: bool,
        /// All of them, on the kernel with checks.
        #[arg(long, conflicts_with = "long")]
        debug: bool,
        /// Only the machines with this word in their names.
        machine: Option<String>,
    },
    /// Runs the kernel's own selftests with the series and without; prints what differs.
    VmSelftests {
        /// Only those of directories that begin with this word.
        directory: Option<String>,
    },
    /// The clients of the servers in /trusted; runs inside the machine.
    #[command(hide = true)]
    VmClients,
    /// Guest instructions per call: system call, gate, fast gate, the function itself.
    VmBench {
        /// Those of exec, beside exec of ordinary programs of the same size.
        #[arg(long)]
        admission: bool,
        /// Those that ordinary programs pay, with the series and without.
        #[arg(long, conflicts_with = "admission")]
        others: bool,
    },
    /// Verifies programs, then puts them into a directory: /trusted of a machine with our kernel.
    Install {
        /// The directory.
        directory: std::path::PathBuf,
        /// Executables of tal-asm.
        #[arg(required = true)]
        programs: Vec<std::path::PathBuf>,
    },
    /// Checks what compilers do not: first lines, line lengths, arrows between crates.
    Tidy,
}

fn main() -> ExitCode {
    match command(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "error: {}",
                error.chain().map(|e| e.to_string()).collect::<Vec<_>>().join(": ")
            );
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> Result<()> {
    match command {
        Command::Test => tests::all(),
        Command::BareMetal => bare_metal::build(),
        Command::Demo => demo::demo(),
        Command::Examples => examples::run(&demo::build()?),
        Command::Interface => interface::write(),
        Command::Tour => tour::tour(&demo::build()?),
        Command::Premises { table: true, .. } => {
            print!("{}", premises::table()?);
            Ok(())
        }
        Command::Premises { pairs, only, .. } => premises::premises(pairs, false, only.as_deref()),
        Command::Annotations => annotations::print(),
        Command::Mutate => tests::mutate(),
        Command::Fuzz { arguments } => fuzz::fuzz(&arguments),
        Command::Decoders => fuzz::decoders(),
        Command::Bench => bench::bench(),
        Command::BenchServers => examples::beside::bench(&demo::build()?),
        Command::BenchJudge { long: false } => bench_judge::bench_judge(),
        Command::BenchJudge { long: true } => bench_judge::long::bench(),
        Command::Loops { only } => loops::print(only.as_deref()),
        Command::TrustedLines => trusted_lines::print(),
        Command::Kernel { which } => {
            println!("{}", kernel::build(which.flavor())?.display());
            Ok(())
        }
        Command::Series { check } => series::check(check),
        Command::Vm { which, command } => vm::run(which.flavor(), &command),
        Command::VmTest { quick, long, debug, machine } => {
            let suite = match (quick, long, debug) {
                (true, _, _) => vm::Suite::Quick,
                (_, true, _) => vm::Suite::Long,
                (_, _, true) => vm::Suite::Debug,
                _ => vm::Suite::Normal,
            };
            vm::test(suite, machine.as_deref())
        }
        Command::VmSelftests { directory } => selftests::run(directory.as_deref()),
        Command::VmClients => examples::in_the_machine(),
        Command::VmBench { admission: true, .. } => admission::bench(),
        Command::VmBench { others: true, .. } => vm::counts::others(),
        Command::VmBench { .. } => vm::counts::calls(),
        Command::Install { directory, programs } => install::install(&directory, &programs),
        Command::Tidy => {
            manifests::arrows()?;
            modules::arrows()?;
            premises::check()?;
            tidy::check()
        }
    }
}
