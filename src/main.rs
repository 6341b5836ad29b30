//! The `isn` command: everything is in [`isn::cli`].

fn main() -> std::process::ExitCode {
    isn::cli::main()
}
