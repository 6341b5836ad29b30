//! Usage errors: what words of other tools mean here, and which option an argument lacks.

use std::path::Path;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::near;
use isn_format::dataset_ref::DatasetRef;
use isn_format::text::shell_word;

/// Commands of other tools, after the path of the command below which they are unknown. The path of `isn`
/// itself is empty.
const COMMANDS: &[(&str, &[&str], &str)] = &[
    (
        "",
        &["install", "download", "clone", "get", "add", "checkout", "load"],
        "`isn pull REF` writes a version as a folder",
    ),
    (
        "",
        &["update", "upgrade", "outdated"],
        "`isn pull NAME` pulls the newest version of a dataset, `isn sync` the versions of isn.lock",
    ),
    ("", &["lock", "freeze"], "`isn pull REF --lock` records a version in isn.lock"),
    ("", &["search", "find", "ls"], "`isn list --registry LOCATION` lists the datasets of a registry"),
    ("", &["show", "view", "describe", "inspect"], "`isn info REF` describes a version"),
    ("", &["push", "upload", "release", "deploy"], "`isn publish BUILD` signs and publishes a build"),
    (
        "",
        &["login", "logout", "auth", "whoami"],
        "there are no accounts: `isn key new NAME` makes a signing key; the tokens of servers are in \
         ISN_TOKENS (HOST=TOKEN,…)",
    ),
    ("", &["keygen"], "`isn key new NAME` makes a signing key"),
    (
        "",
        &["remove", "rm", "uninstall", "delete"],
        "a tree is a folder that you may delete; `isn cache gc` cleans the cache; `isn yank` and \
         `isn withdraw` are for published versions",
    ),
    ("", &["unpublish"], "`isn yank` advises against a version, `isn withdraw` withdraws it"),
    ("", &["clean", "prune", "gc"], "`isn cache gc` cleans the cache"),
    ("", &["check", "validate", "fsck", "test"], "`isn verify TREE` checks every file of a tree"),
    ("", &["status"], "`isn verify TREE` checks a tree, `isn doctor` this machine"),
    ("", &["compare"], "`isn diff OLD NEW` compares two versions"),
    (
        "",
        &["new", "create", "make"],
        "`isn init DIR` writes a recipe for a folder of pictures, `isn build RECIPE.toml` builds a version, \
         `isn registry init` makes a registry",
    ),
    ("", &["convert", "to"], "`isn export REF --as FORMAT` exports a version"),
    ("", &["config"], "the end of `isn --help` lists the environment variables"),
    ("", &["version"], "`isn --version` prints the version of isn"),
    ("cache", &["clean", "clear", "prune", "purge", "rm"], "`isn cache gc` cleans the cache"),
    ("cache", &["check"], "`isn cache verify` hashes every file"),
    ("cache", &["dir", "list", "ls", "path", "size"], "`isn cache info` shows where the cache is"),
    ("key", &["add", "create", "gen", "generate"], "`isn key new NAME` makes a key"),
    ("log", &["check"], "`isn log verify` checks every entry"),
    ("log", &["list", "ls"], "`isn log show` lists the entries"),
    ("registry", &["create", "new"], "`isn registry init` makes a registry"),
    ("registry", &["verify"], "`isn registry check` verifies a registry"),
    ("trust", &["delete", "rm", "revoke"], "`isn trust remove` stops trusting a key"),
];

/// Options of other tools, after what isn calls them: the first option that the command has is meant. If it
/// has none, the text says what to do instead; it may be empty.
const OPTIONS: &[(&[&str], &[&str], &str)] = &[
    (
        &["--to", "--out"],
        &["--to", "--out", "--output", "--output-dir", "--dest", "--dir", "--directory", "--local-dir", "-o"],
        "",
    ),
    (&["--licence"], &["--license"], ""),
    (&[], &["--force", "--overwrite"], OVERWRITE),
    (&["--as", "--format"], &["-f"], OVERWRITE),
    (&["--as", "--format"], &["--as", "--format", "--type"], "--json prints a report as JSON"),
    (&[], &["--yes", "-y"], "isn asks for no confirmation: leave it out"),
    (
        &["--registry"],
        &["--channel", "--endpoint", "--from", "--index-url", "--remote", "--repo", "--url", "-i", "-r"],
        "",
    ),
    (&["--source"], &["--data", "--data-dir", "--input", "--src"], ""),
    (&["--jobs"], &["--num-proc", "--num-workers", "--threads", "--workers"], ""),
    (&["--quiet"], &["--no-progress", "--silent", "-s"], ""),
    (&["--verbose"], &["--debug", "--log-level"], ""),
    (&["--split"], &["--subset", "--partition"], ""),
    (&["--class"], &["--category", "--label"], ""),
    (&["--images"], &["--include"], ""),
    (&["--dry-run"], &["--dry", "--simulate", "-n"], ""),
    (&["--key"], &["--identity", "--key-file", "--sign", "--ssh-key", "-k"], ""),
    (&["--reason"], &["--message", "-m"], ""),
    (&["--hardlink"], &["--hard-link", "--link", "--links", "--symlink"], ""),
    (
        &["--expect"],
        &["--checksum", "--hash", "--pin", "--sha256"],
        "a pin has the hash: NAME@VERSION#b3:HASH",
    ),
    (&[], &["--revision", "--rev", "--tag"], "the version follows the name: NAME@VERSION"),
    (&[], &["--latest"], "NAME alone is the newest version"),
    (&[], &["--auth", "--password", "--token", "--user"], "ISN_TOKENS has the tokens: HOST=TOKEN,…"),
    (&[], &["--cache", "--cache-dir"], "ISN_CACHE is the folder of the cache"),
    (&[], &["--insecure", "--no-verify"], "isn always verifies; ISN_CA_BUNDLE has more certificates"),
    (&[], &["--timeout"], "ISN_TIMEOUT is the timeout in seconds"),
    (&[], &["--retries", "--retry"], "ISN_RETRIES is the number of retries"),
    (&[], &["--proxy"], "the proxy variables of the environment count"),
];

const OVERWRITE: &str = "isn does not overwrite your files: choose another path, or move away what is there";

/// Returns the registry that the arguments name.
pub(super) fn registry(matches: &ArgMatches) -> Option<&String> {
    match matches.subcommand() {
        Some(("mirror", below)) => below.try_get_one("source").ok().flatten(),
        Some((_, below)) => registry(below),
        None => matches.try_get_one("registry").ok().flatten(),
    }
}

/// Refuses empty arguments, which a variable that is not set gives. clap itself refuses empty paths.
pub(super) fn check_not_empty(command: &Command, matches: &ArgMatches) -> Result<(), Error> {
    let is_empty = |argument: &&Arg| {
        let mut given = matches.get_raw(argument.get_id().as_str()).into_iter().flatten();
        matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
            && given.any(|value| value.is_empty())
    };
    if let Some(argument) = command.get_arguments().find(is_empty) {
        let mut error = Error::new(ErrorKind::InvalidValue).with_cmd(command);
        error.insert(ContextKind::InvalidArg, ContextValue::String(argument.to_string()));
        error.insert(ContextKind::InvalidValue, ContextValue::String(String::new()));
        return Err(error);
    }
    match matches.subcommand() {
        Some((name, below)) => {
            command.find_subcommand(name).map_or(Ok(()), |command| check_not_empty(command, below))
        }
        None => Ok(()),
    }
}

/// Adds tips to a usage error of these arguments, instead of tips that mislead.
pub(super) fn with_tips(mut error: Error, isn: impl Fn() -> Command, arguments: &[String]) -> Error {
    let context = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidValue | ErrorKind::ValueValidation if is_of_nothing(&error, arguments) => {
            let tip = "it is empty: a variable may not be set".to_owned();
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
            return error;
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => ContextKind::InvalidValue,
        _ => return error,
    };
    let mut isn = isn();
    isn.build();
    let called = Called::new(&isn, arguments);
    if context == ContextKind::InvalidValue {
        if let Some(tip) = called.one_value_each(&error) {
            error.remove(ContextKind::SuggestedValue);
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        return error;
    }
    let Some(ContextValue::String(word)) = error.get(context) else { return error };
    let (options, operands) = split(arguments);
    let tip = match context {
        // It stands where no option can.
        _ if operands.contains(word) && (called.has(word) || !options.contains(word)) => None,
        ContextKind::InvalidSubcommand => called.instead_of_command(word),
        _ if word.starts_with('-') => called.instead_of_option(word),
        _ => called.option_for(word),
    };
    let mut tips = match error.remove(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => tips,
        _ => Vec::new(),
    };
    // Nothing that isn takes as a value begins with a hyphen.
    tips.retain(|tip| !tip.to_string().starts_with("to pass '"));
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedSubcommand);
        if error.remove(ContextKind::SuggestedArg).is_some() {
            // The usage was that of the suggested option.
            let usage = called.command.clone().render_usage();
            error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
        }
        tips = vec![tip.into()];
    }
    if !tips.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// Splits arguments at the first `--`, after which there are no options.
pub(super) fn split(arguments: &[String]) -> (&[String], &[String]) {
    arguments.split_at(arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len()))
}

/// Returns what a usage error of these arguments says, without the usage: what is wrong, and the tips.
pub(super) fn said(error: &Error, isn: impl Fn() -> Command, arguments: &[String]) -> (String, Vec<String>) {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let isn = isn();
        let path = Called::new(&isn, arguments).path;
        let why = format!("'isn {path}' requires a subcommand but one was not provided");
        return (why, vec![format!("`isn {path} --help` lists them")]);
    }
    let text = error.to_string();
    let what = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default().trim_end();
    let tips = text.lines().filter_map(|line| line.strip_prefix("  tip: "));
    (what.to_owned(), tips.map(str::to_owned).collect())
}

/// Whether a usage error is about a value that is empty, rather than one that is not there.
fn is_of_nothing(error: &Error, arguments: &[String]) -> bool {
    matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.is_empty())
        && arguments.iter().any(|argument| argument.is_empty() || argument.ends_with('='))
}

/// The command that was called.
struct Called<'c> {
    isn: &'c Command,
    command: &'c Command,
    /// Its name after that of `isn`: `log verify`.
    path: String,
    arguments: Vec<String>,
}

impl<'c> Called<'c> {
    fn new(isn: &'c Command, arguments: &[String]) -> Self {
        let mut called = Called { isn, command: isn, path: String::new(), arguments: arguments.to_vec() };
        for argument in arguments.iter().skip(1) {
            if let Some(below) = called.command.find_subcommand(argument) {
                called.command = below;
                called.path = format!("{} {argument}", called.path).trim_start().to_owned();
            }
        }
        called
    }

    /// The versions that are meant by a name and numbers, of which `value` is the last: `pull demobirds 1.0`,
    /// `diff demobirds 1.0 1.1`.
    fn versions(&self, value: &str) -> Option<String> {
        let is_number =
            |word: &&String| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
        let last = self.arguments.iter().rposition(|argument| argument == value)?;
        let words = &self.arguments[..=last];
        let count = words.iter().rev().take_while(is_number).count();
        let (before, numbers) = words.split_at(words.len() - count);
        let name = before.last().filter(|_| count > 0)?;
        let meant = numbers.iter().map(|number| near::similar(&format!("{name}@{number}")));
        Some(meant.collect::<Option<Vec<_>>>()?.join(" "))
    }

    /// Whether the command has the option.
    fn has(&self, option: &str) -> bool {
        let arguments = self.command.get_arguments().chain(self.isn.get_arguments());
        let mut shown = arguments.filter(|argument| !argument.is_hide_set());
        shown.any(|argument| argument.get_long() == option.strip_prefix("--"))
    }

    fn instead_of_command(&self, word: &str) -> Option<String> {
        let known = COMMANDS.iter().find(|(path, words, _)| *path == self.path && words.contains(&word));
        match known {
            Some((_, _, tip)) => Some((*tip).to_owned()),
            None if self.path.is_empty() && is_version(word) => Some(format!("`isn pull {word}` pulls it")),
            None => None,
        }
    }

    fn instead_of_option(&self, word: &str) -> Option<String> {
        let (options, _, otherwise) = OPTIONS.iter().find(|(_, words, _)| words.contains(&word))?;
        match options.iter().find(|option| self.has(option)) {
            Some(option) => Some(format!("isn {} calls it '{option}'", self.path)),
            None => (!otherwise.is_empty()).then(|| (*otherwise).to_owned()),
        }
    }

    /// Whether the option may be repeated, each time with one value.
    fn is_repeated(&self, option: &str) -> bool {
        let mut arguments = self.command.get_arguments();
        arguments.any(|argument| {
            argument.get_long().is_some_and(|long| option.strip_prefix("--") == Some(long))
                && matches!(argument.get_action(), ArgAction::Append)
        })
    }

    /// How a list, `--split train,val`, is written with an option that takes one value each time.
    fn one_value_each(&self, error: &Error) -> Option<String> {
        let (ContextValue::String(argument), ContextValue::String(value)) =
            (error.get(ContextKind::InvalidArg)?, error.get(ContextKind::InvalidValue)?)
        else {
            return None;
        };
        let option = argument.split(' ').next().filter(|option| self.is_repeated(option))?;
        if option == "--class" && value.contains(' ') && !value.contains(',') {
            return Some("a class is named by its id, not by its label: `isn info REF` lists both".into());
        }
        let values: Vec<&str> = value.split([',', ' ']).filter(|value| !value.is_empty()).collect();
        (values.len() > 1).then(|| repeated(option, &values))
    }

    /// How several values, of which `value` is the second, are written with an option that takes one value
    /// each time: `--split train val`.
    fn more_values(&self, value: &str) -> Option<String> {
        let second = self.arguments.iter().position(|argument| argument == value).filter(|at| *at > 1)?;
        let option = self.arguments[second - 2].as_str();
        let given = self.arguments[second - 1..].iter().map(String::as_str);
        let values: Vec<&str> = given.take_while(|value| !value.starts_with('-')).collect();
        (self.is_repeated(option) && values.len() > 1).then(|| repeated(option, &values))
    }

    /// The option that a value lacks which the command does not take by itself.
    fn option_for(&self, value: &str) -> Option<String> {
        if let Some(tip) = self.more_values(value) {
            return Some(tip);
        }
        // The datasets of a registry are listed, not those of a name.
        if self.path == "list" && value.parse::<DatasetRef>().is_ok() && !Path::new(value).is_dir() {
            return Some(format!(
                "`isn info {value}` describes a version, `isn images {value}` lists its images"
            ));
        }
        if is_version(value) {
            let tip = match self.path.as_str() {
                "diff" => "it compares two versions: run it once for each pair",
                _ => "it takes one version: run it once for each",
            };
            return Some(tip.into());
        }
        if let Some(meant) = self.versions(value) {
            return Some(format!("did you mean '{meant}'?"));
        }
        let takes_nothing = self.command.get_positionals().next().is_none();
        let options: &[&str] = match takes_nothing || value.contains("://") {
            true => &["--registry"],
            false => &["--to", "--source", "--out"],
        };
        let option = options.iter().find(|option| self.has(option))?;
        Some(format!("did you mean '{option} {value}'?"))
    }
}

fn repeated(option: &str, values: &[&str]) -> String {
    let each: Vec<String> = values.iter().map(|value| format!("{option} {}", shell_word(value))).collect();
    format!("write {}", each.join(" "))
}

/// Whether it is written as a version or as a hash.
fn is_version(word: &str) -> bool {
    word.contains('@') || word.starts_with("b3:")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn built() -> Command {
        let mut isn = crate::cli::command();
        isn.build();
        isn
    }

    fn at<'c>(isn: &'c Command, path: &str) -> Called<'c> {
        let words: Vec<String> = format!("isn {path}").split(' ').map(Into::into).collect();
        Called::new(isn, &words)
    }

    #[test]
    fn tips_name_commands_and_options_that_are_there() {
        let isn = built();
        let mut known = BTreeSet::new();
        for (path, words, tip) in COMMANDS {
            let family = at(&isn, path);
            assert_eq!(family.path, *path, "{path}");
            for word in *words {
                assert!(family.command.find_subcommand(word).is_none(), "isn {path} {word} is there");
                assert!(known.insert((*path, *word)), "isn {path} {word} is there twice");
            }
            for named in tip.split('`').skip(1).step_by(2) {
                let called = at(&isn, named.trim_start_matches("isn "));
                assert!(named.starts_with("isn "), "{named}");
                for word in named.split(' ').skip(1 + called.path.split_whitespace().count()) {
                    let is_there = match word.strip_prefix("--") {
                        Some("help" | "version") => true,
                        Some(_) => called.has(word),
                        None => word.chars().any(|c| c.is_ascii_uppercase()),
                    };
                    assert!(is_there, "{named}: {word} is not there");
                }
            }
        }
        let all: Vec<&Command> =
            isn.get_subcommands().flat_map(|verb| verb.get_subcommands().chain([verb])).collect();
        for (meant, words, otherwise) in OPTIONS {
            assert!(!meant.is_empty() || !otherwise.is_empty(), "{words:?}");
            for option in *meant {
                let is_there = |command| Called { command, ..at(&isn, "") }.has(option);
                assert!(all.iter().copied().any(is_there), "no command has {option}");
            }
            for word in *words {
                assert!(known.insert(("", *word)), "{word} is there twice");
            }
        }
    }

    #[test]
    fn usage_errors_have_tips_that_help() {
        for (arguments, tip) in [
            ("install demobirds", Some("`isn pull REF` writes")),
            ("search birds", Some("`isn list --registry LOCATION`")),
            ("update", Some("`isn sync` the versions of isn.lock")),
            ("--json login", Some("there are no accounts")),
            ("demobirds@1.0", Some("`isn pull demobirds@1.0`")),
            ("cache clean", Some("`isn cache gc`")),
            ("pul demobirds", Some("'pull'")),
            ("list demobirds", Some("`isn info demobirds`")),
            ("list demobirds@1.0", Some("`isn info demobirds@1.0`")),
            ("list my/folder", Some("did you mean '--registry my/folder'?")),
            ("list src", Some("did you mean '--registry src'?")),
            ("log verify https://x.org/reg", Some("did you mean '--registry https://x.org/reg'?")),
            ("pull demobirds https://x.org/reg", Some("did you mean '--registry https://x.org/reg'?")),
            ("pull demobirds birds", Some("did you mean '--to birds'?")),
            ("pull demobirds 1.0", Some("did you mean 'demobirds@1.0'?")),
            ("pull Demobirds v1.0", Some("did you mean 'demobirds@1.0'?")),
            ("diff demobirds 1.0 1.1", Some("did you mean 'demobirds@1.0 demobirds@1.1'?")),
            ("diff demobirds@1.0 demobirds 1.1", Some("did you mean 'demobirds@1.1'?")),
            ("diff demobirds@1.0 golden@1.0 golden@1.1", Some("it compares two versions")),
            ("pull demobirds@1.0 golden@1.0", Some("one version")),
            ("verify-source demobirds@1.0 photos", Some("did you mean '--source photos'?")),
            ("pull demobirds --split train val", Some("write --split train --split val")),
            ("pull demobirds --split train val --to x", Some("write --split train --split val")),
            ("pull demobirds --split train,val", Some("write --split train --split val")),
            ("pull demobirds --split=train,val", Some("write --split train --split val")),
            ("pull demobirds --class a b c", Some("write --class a --class b --class c")),
            ("pull demobirds --class a,b", Some("write --class a --class b")),
            ("pull demobirds --split trian", Some("'train'")),
            ("info demobirds golden", None),
            ("pull demobirds --output x", Some("isn pull calls it '--to'")),
            ("pull demobirds --output=x", Some("isn pull calls it '--to'")),
            ("pull demobirds -o x", Some("isn pull calls it '--to'")),
            ("export demobirds --as npz --out x", Some("isn export calls it '--to'")),
            ("build recipe.toml --source x --to x", Some("isn build calls it '--out'")),
            ("pull demobirds --force", Some("isn does not overwrite your files")),
            ("pull demobirds --threads 4", Some("isn pull calls it '--jobs'")),
            ("pull demobirds --sourc x", Some("'--source'")),
            ("pull demobirds --nothing-like-it", None),
            ("fetch demobirds --sha256 x", Some("NAME@VERSION#b3:HASH")),
        ] {
            let words: Vec<String> = format!("isn {arguments}").split(' ').map(Into::into).collect();
            let error = crate::cli::parse(words.iter().map(Into::into)).unwrap_err();
            let text = with_tips(error, crate::cli::command, &words).to_string();
            let tips: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).collect();
            if arguments.ends_with("--force") {
                assert!(text.contains("Usage: isn pull [OPTIONS] <REF|BUILD>"), "{text}");
            }
            match tip {
                Some(tip) => assert!(tips.len() == 1 && tips[0].contains(tip), "{arguments}: {text}"),
                None => assert!(tips.is_empty(), "{arguments}: {text}"),
            }
        }
    }
}
