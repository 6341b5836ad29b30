//! A dataset whose name would turn the file in which a registry lists its names into a folder.

use isn_format::key::Signer as _;
use isn_format::statement::NAMESPACE;

use crate::forger::Forger;

/// Signs a statement like a program that knows no reserved names.
fn signed(forger: &Forger, text: &str) -> Vec<u8> {
    let signature = forger.private("me").sign_sshsig(NAMESPACE, text.as_bytes()).unwrap();
    format!("{text}\n{}", signature.armour().unwrap()).into_bytes()
}

#[test]
fn a_dataset_called_names_is_none_and_keeps_nobody_from_publishing() {
    let forger = Forger::new();
    let hash = "0".repeat(64);
    let key = forger.public("me");
    let claim = format!("isn/v1 owner\nname names\nprevious none\nthreshold 1\nkey {key}\n");
    let release =
        format!("isn/v1 release\nname names\nversion 1.0\ndataset b3:{hash}\nmanifest b3:{hash} 7\n");
    for text in [&claim, &release] {
        forger.write("statement", &signed(&forger, text));
        forger.isn(&["append", "statement", "--registry", "reg"]).fails(1, "keeps its list of names there");
        forger.append(&signed(&forger, text));
    }
    let shown = forger.reader(&["log", "verify", "--registry", "reg"]).fails(8, "NO EFFECT").stdout;
    assert_eq!(shown.matches("keeps its list of names there").count(), 2, "{shown}");
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    forger.reader(&["pull", "grads@1.1", "--registry", "reg", "--to", "tree"]).ok();
    forger.reader(&["mirror", "reg", "m"]).ok();
    forger.reader(&["verify", "reg"]).ok();
    forger.reader(&["pull", "names@1.0", "--registry", "reg"]).fails(2, "is not a dataset name");
    forger.recipe("names", "1.0", &["ant", "bee"], "");
    forger
        .isn(&["build", "names-1.0.toml", "--source", "raw", "--out", "out-names"])
        .fails(1, "is not a dataset name");
}
