//! What clap does not know of the help: the groups of `isn --help`, and the examples that end the help of
//! each verb.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::StyledStr;

/// The verbs in the groups of `isn --help`. A build without the server has no `review` and no `serve`.
const GROUPS: [(&str, &[&str]); 7] = [
    (
        "Use a dataset",
        &["pull", "fetch", "sync", "export", "list", "info", "images", "diff", "cite", "verify"],
    ),
    ("Make a dataset", &["init", "build", "recipe", "source", "verify-source", "ledger", "pairs", "demo"]),
    ("Audit a dataset", &["audit", "review"]),
    ("Publish a version", &["publish", "sign", "attest", "append", "yank", "withdraw"]),
    ("Keys and trust", &["key", "trust", "owner", "revoke", "log", "prove"]),
    ("Run a registry", &["registry", "mirror", "serve"]),
    ("Set up this machine", &["doctor", "cache", "completions", "man"]),
];

/// The examples of each command, by its path. The path of `isn` itself is empty.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "isn pull demobirds@1.0",
            "isn verify demobirds-1.0 --expect demobirds@1.0",
            "isn cite demobirds@1.0",
        ],
    ),
    (
        "pull",
        &[
            "isn pull demobirds@1.0",
            "isn pull demobirds@1.0 --split val --to birds-val",
            "isn pull demobirds --registry https://data.example.org/birds --lock",
            "isn pull imagebirds@1.0 --source ilsvrc2012",
        ],
    ),
    ("fetch", &["isn fetch demobirds@1.0", "isn fetch demobirds@1.0 --split train"]),
    (
        "export",
        &[
            "isn export demobirds@1.0 --as webdataset",
            "isn export demobirds@1.0 --as npz --size 32 --split train --to birds-npz",
        ],
    ),
    ("sync", &["isn sync", "isn sync --locked"]),
    (
        "verify",
        &[
            "isn verify demobirds-1.0 --expect demobirds@1.0",
            "isn verify demobirds@1.0",
            "isn verify demobirds-1.0 --proof demobirds-1.0.tlog-proof",
        ],
    ),
    ("info", &["isn info demobirds@1.0", "isn info demobirds --json"]),
    (
        "images",
        &["isn images demobirds@1.0 --split val", "isn images demobirds@1.0 --class n01614925 --origin val"],
    ),
    ("list", &["isn list", "isn list --registry https://data.example.org/birds"]),
    (
        "diff",
        &[
            "isn diff imagebirds@1.0 imagebirds@1.1 --html diff.html",
            "isn diff birds-1.0 birds-build --exit-code",
        ],
    ),
    ("cite", &["isn cite demobirds@1.0", "isn cite demobirds@1.0 --format cff"]),
    (
        "build",
        &[
            "isn build recipe.toml --source ilsvrc2012 --out birds-build",
            "isn build imagebirds --source ilsvrc2012",
        ],
    ),
    ("source", &["isn source check ilsvrc2012 --recipe recipe.toml"]),
    (
        "source check",
        &[
            "isn source check ilsvrc2012 --recipe recipe.toml",
            "isn source check archives --recipe recipe.toml --checksums",
        ],
    ),
    ("verify-source", &["isn verify-source imagebirds@1.0 --source ilsvrc2012"]),
    ("audit", &["isn audit all demobirds-1.0 --html report.html"]),
    (
        "audit labels",
        &[
            "isn audit labels demobirds-1.0 --pixels --html suspects.html",
            "isn audit labels demobirds-1.0 --embeddings embeddings.npy --claims suspects.csv",
            "isn audit labels --probs probs.npy --labels labels.npy",
        ],
    ),
    (
        "audit mask",
        &["isn audit mask imagenet/train --kept imagenet_train_bool_mask.npy --claims suspects.csv"],
    ),
    ("audit duplicates", &["isn audit duplicates photos --groups groups.csv --html copies.html"]),
    ("audit images", &["isn audit images photos --tiny 64"]),
    ("audit balance", &["isn audit balance demobirds@1.0"]),
    ("audit all", &["isn audit all demobirds-1.0 --html report.html"]),
    (
        "review",
        &[
            "isn review photos --ledger corrections.csv --suspects suspects.csv --reviewer 'Ada Lovelace'",
            "isn review photos --pairs pairs.csv --recipe recipe.toml --reviewer 'Ada Lovelace'",
        ],
    ),
    (
        "publish",
        &[
            "isn publish birds-build --registry my-registry --key me --dry-run",
            "isn publish birds-build --registry https://data.example.org/birds --key me",
            "isn publish birds-build --registry my-registry --key me --rebuild-only",
        ],
    ),
    ("sign", &["isn sign release.statement --key me"]),
    (
        "attest",
        &[
            "isn attest imagebirds-1.0-build --key me",
            "isn attest verify ada.statement bob.statement imagebirds-1.0-build",
        ],
    ),
    ("attest verify", &["isn attest verify imagebirds-1.0.rebuilt.statement imagebirds-1.0-build"]),
    (
        "append",
        &[
            "isn append release.statement --registry my-registry",
            "isn append imagebirds-1.0.rebuilt.statement --registry https://data.example.org/birds",
        ],
    ),
    ("owner", &["isn owner show demobirds", "isn owner add birds ada.pub --registry my-registry --key me"]),
    ("owner show", &["isn owner show demobirds"]),
    (
        "owner add",
        &[
            "isn owner add birds ada.pub --registry my-registry --key me",
            "isn owner add birds safe.pub --recovery --registry my-registry --key me",
        ],
    ),
    ("owner remove", &["isn owner remove birds ada.pub --registry my-registry --key me"]),
    ("owner threshold", &["isn owner threshold birds 2 --registry my-registry --key me"]),
    ("revoke", &["isn revoke stolen.pub --reason 'The laptop was stolen' --registry my-registry --key me"]),
    (
        "yank",
        &["isn yank birds@1.0 --reason 'Use 1.1: val has copies of train' --registry my-registry --key me"],
    ),
    (
        "withdraw",
        &["isn withdraw birds@1.0 --reason 'Consent was withdrawn' --registry my-registry --key me"],
    ),
    ("log", &["isn log show", "isn log verify --registry https://data.example.org/birds"]),
    ("log show", &["isn log show", "isn log show --registry my-registry --json"]),
    (
        "log verify",
        &[
            "isn log verify --registry https://data.example.org/birds",
            "isn log verify --attestations --registry https://data.example.org/birds",
        ],
    ),
    (
        "log watch",
        &[
            "isn log watch --registry https://data.example.org/birds --every 1h",
            "isn log watch --registry https://data.example.org/birds --once --json",
        ],
    ),
    ("log evidence", &["isn log evidence"]),
    ("log unclaim", &["isn log unclaim --registry my-registry"]),
    ("prove", &["isn prove demobirds@1.0", "isn prove demobirds@1.0 --out proof"]),
    ("key", &["isn key new me", "isn key list"]),
    ("key new", &["isn key new me"]),
    ("key list", &["isn key list"]),
    ("key show", &["isn key show me"]),
    ("key rotate", &["isn key rotate old new --registry my-registry --key old"]),
    ("trust", &["isn trust add my-registry me.pub", "isn trust list"]),
    (
        "trust add",
        &[
            "isn trust add https://data.example.org/birds ada.pub",
            "isn trust add my-registry 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…'",
        ],
    ),
    ("trust list", &["isn trust list"]),
    ("trust remove", &["isn trust remove https://data.example.org/birds ada.pub"]),
    ("registry", &["isn registry init my-registry --origin example.org/birds"]),
    (
        "registry init",
        &["isn registry init my-registry --origin example.org/birds", "isn registry init s3://bucket/birds"],
    ),
    ("registry check", &["isn registry check https://data.example.org/birds"]),
    ("registry rotate-key", &["isn registry rotate-key my-registry"]),
    (
        "mirror",
        &[
            "isn mirror https://data.example.org/birds mirror",
            "isn mirror bundled mirror demobirds@1.0 --verify",
        ],
    ),
    ("ledger", &["isn ledger show corrections.csv", "isn ledger check recipe.toml"]),
    (
        "ledger show",
        &[
            "isn ledger show corrections.csv",
            "isn ledger show corrections.csv --image ILSVRC2012_val_00000318",
        ],
    ),
    (
        "ledger add",
        &[
            "isn ledger add corrections.csv ILSVRC2012_val_00000318 relabel n01614925 \\\n      \
             --reason wrong-label --reviewer 'Ada Lovelace'",
            "isn ledger add corrections.csv ILSVRC2012_val_00000318 none --claim --source cleanlab",
        ],
    ),
    (
        "ledger import",
        &[
            "isn ledger import corrections.csv real.json --recipe recipe.toml",
            "isn ledger import corrections.csv raters.npz --recipe recipe.toml",
            "isn ledger import corrections.csv claims.csv --source cleanlab --date 2026-03-01",
        ],
    ),
    ("ledger check", &["isn ledger check recipe.toml"]),
    ("ledger diff", &["isn ledger diff corrections-1.0.csv corrections.csv"]),
    ("pairs", &["isn pairs show pairs.csv", "isn pairs check recipe.toml --source raw"]),
    ("pairs show", &["isn pairs show pairs.csv", "isn pairs show pairs.csv --image train/ant/ant_1"]),
    (
        "pairs add",
        &[
            "isn pairs add pairs.csv train/ant/ant_1 val/ant/ant_7 different \\\n      \
             --reason look-alike --reviewer 'Ada Lovelace'",
            "isn pairs add pairs.csv train/ant/ant_1 train/ant/ant_2 same --reason burst --reviewer 'Ada Lovelace'",
        ],
    ),
    ("pairs check", &["isn pairs check recipe.toml --source raw"]),
    ("cache", &["isn cache info", "isn cache gc --max-size 20GiB"]),
    ("cache info", &["isn cache info"]),
    ("cache verify", &["isn cache verify"]),
    ("cache gc", &["isn cache gc --max-size 20GiB --dry-run", "isn cache gc --older-than 30d"]),
    (
        "serve",
        &[
            "isn serve my-registry",
            "isn serve my-registry --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem",
            "isn serve my-registry --publish-tokens tokens.txt --log",
        ],
    ),
    (
        "init",
        &["isn init photos", "isn init 'My photos' --name photos --licence CC-BY-4.0 --out recipes/photos"],
    ),
    ("doctor", &["isn doctor", "isn doctor --registry https://data.example.org/birds"]),
    ("recipe", &["isn recipe show imagebirds", "isn recipe export imagebirds"]),
    ("recipe show", &["isn recipe show imagebirds"]),
    ("recipe export", &["isn recipe export imagebirds", "isn recipe export imagebirds --to my-birds"]),
    ("demo", &["isn demo source birds"]),
    ("demo source", &["isn demo source birds"]),
    (
        "completions",
        &[
            "isn completions bash > ~/.local/share/bash-completion/completions/isn",
            "isn completions zsh > ~/.zfunc/_isn",
            "isn completions fish > ~/.config/fish/completions/isn.fish",
        ],
    ),
    ("man", &["isn man man1"]),
];

/// The command with its groups and examples.
pub(super) fn complete(command: Command) -> Command {
    let template = template(&command);
    with_examples(command, "").help_template(template)
}

/// The groups with the verbs of this build.
pub(super) fn groups(command: &Command) -> impl Iterator<Item = (&'static str, Vec<&Command>)> {
    GROUPS.into_iter().map(|(title, verbs)| {
        (title, verbs.iter().filter_map(|name| command.find_subcommand(name)).collect())
    })
}

/// The template of `isn --help`: clap has no groups of subcommands.
fn template(command: &Command) -> StyledStr {
    let (header, literal) = (command.get_styles().get_header(), command.get_styles().get_literal());
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (title, verbs) in groups(command) {
        let _ = writeln!(text, "\n{header}{title}:{header:#}");
        for verb in verbs {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {literal}{:<13}{literal:#}  {about}", verb.get_name());
        }
    }
    let _ = write!(text, "\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    StyledStr::from(text)
}

/// Adds the examples of a command and of those below it, whose paths begin with `path`.
fn with_examples(command: Command, path: &str) -> Command {
    // The words of `--help`; man pages would have others.
    let command = command.subcommand_value_name("COMMAND").subcommand_help_heading("Commands");
    let command = command.mut_subcommands(|verb| {
        let below = format!("{path} {}", verb.get_name());
        with_examples(verb, below.trim_start())
    });
    let Some((_, examples)) = EXAMPLES.iter().find(|(known, _)| *known == path) else { return command };
    let header = command.get_styles().get_header();
    let mut text = format!("{header}Examples:{header:#}\n");
    for example in *examples {
        let _ = writeln!(text, "  {example}");
    }
    if let Some(more) = command.get_after_help() {
        let _ = write!(text, "\n{}", more.ansi());
    }
    command.after_help(StyledStr::from(text.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of all commands, `isn` itself first.
    fn paths(command: &Command, path: &str) -> Vec<String> {
        let below = command.get_subcommands().flat_map(|verb| {
            let path = format!("{path} {}", verb.get_name());
            paths(verb, path.trim_start())
        });
        std::iter::once(path.to_owned()).chain(below).collect()
    }

    /// The words of an example as a POSIX shell has them: quoted or not, up to a redirection.
    fn words(example: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in example.replace("\\\n", " ").chars().chain([' ']) {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted && !word.is_empty() => words.push(std::mem::take(&mut word)),
                ' ' if !quoted => {}
                c => word.push(c),
            }
        }
        assert!(!quoted, "{example}");
        words.into_iter().take_while(|word| word != ">").collect()
    }

    #[test]
    fn every_verb_is_in_one_group() {
        for verb in crate::cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = verb.get_name();
            let groups = GROUPS.iter().filter(|(_, verbs)| verbs.contains(&name)).count();
            assert_eq!(groups, 1, "{name}");
            let about = verb.get_about().unwrap().to_string();
            assert!(about.chars().count() <= 63, "the line of {name} is too long for a terminal: {about}");
        }
    }

    #[test]
    fn every_verb_ends_its_help_with_examples_that_parse() {
        let command = crate::cli::command();
        let all = paths(&command, "");
        for path in &all {
            let (_, examples) = EXAMPLES
                .iter()
                .find(|(known, _)| known == path)
                .unwrap_or_else(|| panic!("isn {path} has no example"));
            assert!(!examples.is_empty(), "isn {path} has no example");
            for example in *examples {
                assert!(example.starts_with(format!("isn {path}").trim_end()), "{path}: {example}");
                if let Err(e) = crate::cli::parse(words(example).into_iter().map(Into::into)) {
                    panic!("{example}: {e}");
                }
            }
        }
        let is_optional = |path: &str| path == "review" || path == "serve";
        for (path, _) in EXAMPLES.iter().filter(|(path, _)| !is_optional(path)) {
            assert!(all.iter().any(|known| known == path), "there is no isn {path}");
        }
    }
}
