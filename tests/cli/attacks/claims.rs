//! Somebody who can write to a registry's storage, but has no log key, leaves entries there for the next
//! writer to sign.

use std::fs;

use isn_format::key::PrivateKey;
use isn_format::log::{LogSigner, Replica, SignedClaim, bundle};
use isn_registry::registry::layout;

use crate::forger::{Forger, WRITERS};
use crate::sandbox::contents;

/// The number of the next entry of the forger's registry.
const NEXT: u64 = 4;

fn claim_file(number: u64) -> String {
    format!("reg/{}", layout::LOG.claim(number))
}

/// Returns a stranger's `owner` statement for a name that nobody owns: valid wherever it stands in the log.
fn of_a_stranger(forger: &Forger) -> Vec<u8> {
    forger.new_key("stranger");
    // A collected statement for `isn append` to add.
    forger
        .isn(&[
            "yank",
            "grads@1.0",
            "--reason",
            "why",
            "--registry",
            "reg",
            "--key",
            "me",
            "--statement",
            "collected",
        ])
        .ok();
    let mut owner = forger.owner(None, 1, &["stranger"]);
    if let isn_format::statement::Statement::Owner(owner) = &mut owner {
        owner.name = "squatted".parse().unwrap();
    }
    let mut entries = Vec::new();
    bundle::push(&mut entries, &forger.signed(&owner, &["stranger"])).unwrap();
    entries
}

/// Checks that every writer stops with exit 4 and this message, and that nothing in the registry changes.
#[track_caller]
fn stops_every_writer(forger: &Forger, claim: &[u8], why: &str) {
    forger.write(&claim_file(NEXT), claim);
    let before = contents(&forger.path("reg"));
    for args in WRITERS {
        let ran = forger.isn(args).fails(4, why);
        assert!(ran.stderr.contains("isn log unclaim"), "{args:?}: {}", ran.stderr);
        assert!(contents(&forger.path("reg")) == before, "{args:?} changed the registry");
    }
}

/// The owner removes the blocking claims and nothing else changes; then a release gets that entry number.
fn is_removed_by_the_keys_holder(forger: &Forger) {
    let unclaim = ["log", "unclaim", "--registry", "reg"];
    forger.reader(&unclaim).fails(1, "is not on this machine");
    let before = contents(&forger.path("reg"));
    let removed = forger.isn(&unclaim).ok().stdout;
    assert!(removed.contains(&layout::LOG.claim(NEXT)), "{removed}");
    let kept = before.into_iter().filter(|(name, _)| *name != layout::LOG.claim(NEXT)).collect::<Vec<_>>();
    assert!(contents(&forger.path("reg")) == kept);
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    assert_eq!(forger.checkpoint().claimed_size(), NEXT + 1);
    let log = forger.isn(&["log", "verify", "--registry", "reg"]).ok();
    assert!(!log.stdout.contains("squatted"), "{}", log.stdout);
    forger.read("grads@1.1").ok();
}

#[test]
fn a_planted_claim_is_not_signed_into_the_log() {
    let forger = Forger::new();
    let planted = of_a_stranger(&forger);
    stops_every_writer(&forger, &planted, "is not signed");
    is_removed_by_the_keys_holder(&forger);
}

#[test]
fn a_claim_by_another_key_is_not_signed_into_the_log() {
    let forger = Forger::new();
    let planted = of_a_stranger(&forger);
    let base = Replica::new(forger.anchor("reg"));
    let stranger = LogSigner::new(base.history().anchor().origin(), forger.private("stranger")).unwrap();
    let claim = SignedClaim::sign(&stranger, &base, &planted).unwrap();
    stops_every_writer(&forger, &claim, "has no valid signature by the log's key");
    // A claim of another log is refused too, even when the right key signed it.
    let other = LogSigner::new("another.example", forger.log_private()).unwrap();
    let claim = SignedClaim::sign(&other, &Replica::new(other.log_key().clone()), &planted).unwrap();
    stops_every_writer(&forger, &claim, "is of log another.example");
    is_removed_by_the_keys_holder(&forger);
}

#[test]
fn a_claim_that_is_played_again_at_another_number_is_not_signed_into_the_log() {
    let forger = Forger::new();
    of_a_stranger(&forger);
    let earlier = forger.bytes(&claim_file(2));
    stops_every_writer(&forger, &earlier, "was signed for another place in the log, entry 2");
    is_removed_by_the_keys_holder(&forger);
}

#[test]
fn a_claim_of_an_unknown_kind_is_left_for_a_newer_isn() {
    let forger = Forger::new();
    of_a_stranger(&forger);
    stops_every_writer(&forger, b"isn/v2 claim\nwhatever\n", "a newer isn may finish it");
    is_removed_by_the_keys_holder(&forger);
}

#[test]
fn a_malformed_claim_stops_every_writer() {
    let forger = Forger::new();
    of_a_stranger(&forger);
    stops_every_writer(&forger, b"", "is not signed");
    stops_every_writer(&forger, b"isn/v1 claim\n", "is malformed");
    let mut changed = forger.bytes(&claim_file(2));
    let last = changed.len() - 1;
    changed[last] ^= 1;
    stops_every_writer(&forger, &changed, "holds other entries than its note says");
    is_removed_by_the_keys_holder(&forger);
}

#[test]
fn claims_that_lie_in_wait_go_with_the_first() {
    let forger = Forger::new();
    let planted = of_a_stranger(&forger);
    for number in [NEXT, NEXT + 1, NEXT + 7] {
        forger.write(&claim_file(number), &planted);
    }
    let removed = forger.isn(&["log", "unclaim", "--registry", "reg", "--json"]).ok().json();
    assert_eq!(removed["removed"].as_array().unwrap().len(), 3, "{removed}");
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    let again = forger.isn(&["log", "unclaim", "--registry", "reg"]).ok().stdout;
    assert!(again.contains("no log claim blocks"), "{again}");
}

#[test]
fn the_claim_of_a_killed_writer_is_finished_and_never_removed() {
    let forger = Forger::new();
    for folder in ["reg", "home/logs"] {
        forger.copy(folder, &format!("saved/{folder}"));
    }
    let publish = ["publish", "out2", "--registry", "reg", "--key", "me"];
    forger.isn(&publish).ok();
    let (claim, whole) = (forger.bytes(&claim_file(NEXT)), forger.bytes("reg/log/checkpoint"));
    for finish in [&publish[..], &["registry", "init", "reg"]] {
        for folder in ["reg", "home/logs"] {
            fs::remove_dir_all(forger.path(folder)).unwrap();
            forger.copy(&format!("saved/{folder}"), folder);
        }
        let keys = fs::read_dir(forger.path("home/logs")).unwrap().map(|log| log.unwrap().path().join("key"));
        #[cfg(unix)]
        for key in keys.filter(|key| key.exists()) {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        }
        forger.write(&claim_file(NEXT), &claim);
        forger.isn(&["log", "unclaim", "--registry", "reg"]).fails(1, "can be finished");
        assert_eq!(forger.checkpoint().claimed_size(), NEXT);
        forger.isn(finish).ok();
        assert!(forger.bytes("reg/log/checkpoint") == whole, "{finish:?} signed another tree");
        forger.read("grads@1.1").ok();
        forger.forget();
    }
}

/// The old key signs the claim of the entry that changes the key; the new key signs later claims.
#[test]
fn claims_are_signed_by_the_key_in_force_before_and_after_a_rotation() {
    let forger = Forger::new();
    let old = forger.log_private();
    forger.isn(&["registry", "rotate-key", "reg"]).ok();
    let text = String::from_utf8_lossy(&forger.bytes(&claim_file(NEXT))).into_owned();
    assert!(text.starts_with("isn/v1 claim\n"), "{text}");
    // Somebody who has only the old key plants a claim.
    let planted = of_a_stranger(&forger);
    let anchor = forger.anchor("reg");
    let given_up = LogSigner::new(anchor.origin(), PrivateKey::clone(&old)).unwrap();
    let claim = SignedClaim::sign(&given_up, &Replica::new(anchor), &planted).unwrap();
    forger.write(&claim_file(NEXT + 1), &claim);
    let publish = ["publish", "out2", "--registry", "reg", "--key", "me"];
    forger.isn(&publish).fails(4, "has no valid signature by the log's key");
    forger.isn(&["log", "unclaim", "--registry", "reg"]).ok();
    forger.isn(&publish).ok();
    forger.isn(&["log", "verify", "--registry", "reg"]).ok();
}

/// If `isn log unclaim` cannot help, no message suggests it.
#[cfg(unix)]
#[test]
fn a_link_on_the_way_to_a_claim_is_no_claim() {
    let forger = Forger::new();
    of_a_stranger(&forger);
    for folder in ["reg/log/.isn-claims", "reg/log"] {
        fs::rename(forger.path(folder), forger.path("elsewhere")).unwrap();
        std::os::unix::fs::symlink(forger.path("elsewhere"), forger.path(folder)).unwrap();
        for args in WRITERS.into_iter().chain([&["log", "unclaim", "--registry", "reg"][..]]) {
            let ran = forger.isn(args).fails(1, folder);
            assert!(
                !ran.stderr.contains("unclaim") && ran.stderr.contains("move it elsewhere"),
                "{}",
                ran.stderr
            );
        }
        let said = forger.isn(&["verify", "reg"]).stderr;
        assert!(said.contains("stops the next publish") && !said.contains("unclaim"), "{said}");
        fs::remove_file(forger.path(folder)).unwrap();
        fs::rename(forger.path("elsewhere"), forger.path(folder)).unwrap();
    }
}

#[test]
fn what_is_no_file_in_the_place_of_a_claim_is_said_and_not_waited_for() {
    let forger = Forger::new();
    let publish = ["publish", "out2", "--registry", "reg", "--key", "me"];
    fs::create_dir_all(forger.path(&claim_file(NEXT))).unwrap();
    forger.isn(&publish).fails(4, "is in the way of the next entry");
    // An empty folder is removed like the claim in whose place it stands; a folder with files in it stays.
    let unclaim = ["log", "unclaim", "--registry", "reg"];
    let removed = forger.isn(&unclaim).ok().stdout;
    assert!(removed.contains(&layout::LOG.claim(NEXT)), "{removed}");
    for kept in ["thesis", "4", "4/4"] {
        let kept = format!("{}/{kept}", claim_file(NEXT));
        forger.write(&kept, b"x");
        forger.isn(&unclaim).fails(1, "is a folder that is not empty");
        forger.isn(&publish).fails(4, "is in the way of the next entry");
        assert_eq!(forger.bytes(&kept), b"x");
        fs::remove_dir_all(forger.path(&claim_file(NEXT))).unwrap();
    }
    #[cfg(unix)]
    {
        let made = std::process::Command::new("mkfifo").arg(forger.path(&claim_file(NEXT))).status().unwrap();
        assert!(made.success());
        forger.isn(&publish).fails(4, "is in the way of the next entry");
        forger.isn(&["log", "unclaim", "--registry", "reg"]).ok();
        // Links to nothing, to a claim and to a folder: none is followed, and only the link is removed.
        forger.write("elsewhere/claim", &forger.bytes(&claim_file(2)));
        for target in ["nowhere", "elsewhere/claim", "elsewhere"] {
            std::os::unix::fs::symlink(forger.path(target), forger.path(&claim_file(NEXT))).unwrap();
            let ran = forger.isn(&publish).fails(4, "is in the way of the next entry: it is a link");
            assert!(ran.stderr.contains("isn log unclaim"), "{}", ran.stderr);
            let removed = forger.isn(&unclaim).ok().stdout;
            assert!(removed.contains(&layout::LOG.claim(NEXT)), "{removed}");
        }
        assert_eq!(forger.bytes("elsewhere/claim"), forger.bytes(&claim_file(2)));
    }
    forger.isn(&publish).ok();
}
