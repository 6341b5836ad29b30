//! What shells complete as the values of arguments.

use clap::{Command, ValueHint};

/// What values are, by the names that help texts give them.
const VALUES: [(ValueHint, &[&str]); 3] = [
    (
        ValueHint::DirPath,
        &["BUILD", "BUILD|TREE", "DIR", "DIR|REF", "DIR|URL", "DST", "PATH|REF", "REGISTRY", "SRC"],
    ),
    (ValueHint::FilePath, &["FILE", "KEY", "LEDGER", "MODEL", "RECIPE.toml|NAME", "classes.csv"]),
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
            "PIXELS",
            "RATIO",
            "REASON",
            "REF",
            "REF|b3:HASH",
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
