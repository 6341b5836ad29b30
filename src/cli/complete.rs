//! What shells complete as the values of arguments.

use clap::{Command, ValueHint};
use clap_complete::Shell;

/// What values are, by the names that help texts give them.
const VALUES: [(ValueHint, &[&str]); 3] = [
    (
        ValueHint::DirPath,
        &[
            "BUILD",
            "BUILD|TREE",
            "DIR",
            "DIR|REF",
            "DIR|URL",
            "DST",
            "PATH|REF",
            "REF|BUILD",
            "REF|BUILD|TREE",
            "REGISTRY",
            "SRC",
        ],
    ),
    (
        ValueHint::FilePath,
        &["FILE", "FILE|DIR", "KEY", "LEDGER", "MODEL", "PAIRS", "RECIPE.toml|NAME", "classes.csv"],
    ),
    (
        ValueHint::Other,
        &[
            "A,B,C",
            "ADDR",
            "AGE",
            "BITS",
            "CLASS",
            "DATE",
            "ID",
            "LEVELS",
            "N",
            "NAME",
            "NAME|FILE",
            "ORIGIN",
            "OTHER-ID",
            "PIXELS",
            "RATIO",
            "REASON",
            "REF",
            "REF|b3:HASH",
            "I/N",
            "SHARE",
            "SIZE",
            "TEXT",
            "TIME",
            "VKEY",
            "WHAT",
        ],
    ),
];

/// The command with what shells complete: folders, files or nothing. An argument whose values are listed, or
/// that has a hint of its own, keeps it.
pub(super) fn with_hints(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let names = argument.get_value_names().unwrap_or_default();
        let hint = VALUES.iter().find(|(_, known)| names.iter().any(|name| known.contains(&name.as_str())));
        match hint {
            Some((hint, _)) if argument.get_possible_values().is_empty() => argument.value_hint(*hint),
            _ => argument,
        }
    });
    command.mut_subcommands(with_hints)
}

/// What zsh's script calls the arguments that take a version.
const REFERENCES: [&str; 2] = ["':reference -- ", "':version -- "];
/// What the scripts run for the names of datasets. It uses no network.
const NAMES: &str = "isn completions names 2>/dev/null";

/// Returns the script with names of datasets completed where a verb takes a version: clap knows fixed values
/// only. The scripts of other shells than bash, fish and zsh stay as they are.
pub(super) fn with_names(shell: Shell, script: &str, command: &Command) -> String {
    let mut verbs = Vec::new();
    list_verbs(command, "", &mut verbs);
    match shell {
        Shell::Bash => verbs.iter().fold(script.to_owned(), |script, verb| {
            let path = verb.replace(['-', ' '], "__subcmd__");
            let words = format!("isn__subcmd__{path})\n            opts=\"");
            script.replace(&words, &format!("{words}$({NAMES}) "))
        }),
        Shell::Fish => verbs.iter().fold(script.to_owned(), |script, verb| {
            let (verb, more) = verb.split_once(' ').map_or((verb.as_str(), None), |(a, b)| (a, Some(b)));
            let more = more.map_or_else(String::new, |more| format!("; and __fish_seen_subcommand_from {more}"));
            format!("{script}complete -c isn -n \"__fish_isn_using_subcommand {verb}{more}\" -f -a \"({NAMES})\"\n")
        }),
        Shell::Zsh => {
            let function = format!("_isn_names() {{ compadd -- ${{(f)\"$({NAMES})\"}} }}\n");
            let line = |line: &str| match line.strip_suffix(":' \\") {
                Some(start) if REFERENCES.iter().any(|name| start.starts_with(name)) => {
                    format!("{start}:_isn_names' \\\n")
                }
                _ if line == "#compdef isn" => format!("{line}\n\n{function}"),
                _ => format!("{line}\n"),
            };
            script.lines().map(line).collect()
        }
        _ => script.into(),
    }
}

/// Lists the verbs below `command` that take a version, each with those above it.
fn list_verbs(command: &Command, above: &str, verbs: &mut Vec<String>) {
    for verb in command.get_subcommands() {
        let path = format!("{above}{}", verb.get_name());
        let mut values = verb.get_positionals().flat_map(|one| one.get_value_names().unwrap_or_default());
        if values.any(|name| name == "REF" || name.starts_with("REF|")) {
            verbs.push(path.clone());
        }
        list_verbs(verb, &format!("{path} "), verbs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &Command) {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let (id, hint) = (argument.get_id(), argument.get_value_hint());
            assert!(
                !argument.get_possible_values().is_empty()
                    || matches!(hint, ValueHint::DirPath | ValueHint::FilePath | ValueHint::Other),
                "isn {}: shells do not know what {id} is: {hint:?}",
                command.get_name()
            );
        }
        command.get_subcommands().for_each(check);
    }

    #[test]
    fn shells_know_what_every_value_is() {
        check(&crate::cli::command());
    }
}
