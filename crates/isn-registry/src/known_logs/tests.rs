use super::*;

fn state(entries: &[&str], signer: &LogSigner) -> (Replica, Vec<u8>) {
    let mut replica = Replica::new(signer.log_key().clone());
    for entry in entries {
        let _ = replica.push(entry.as_bytes()).unwrap();
    }
    let root = replica.tree().root().unwrap();
    let note = SignedCheckpoint::sign(signer, replica.size(), root).unwrap();
    (replica, note.bytes().to_vec())
}

#[test]
fn what_was_stored_comes_back_and_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let logs = KnownLogs::new(dir.path());
    let signer = logs.new_signer(None).unwrap();
    let known = logs.log(signer.log_key());
    assert!(known.load().unwrap().seen.is_none());
    assert_eq!(known.signer().unwrap().unwrap().log_key(), signer.log_key());
    let (two, note_two) = state(&["a", "b"], &signer);
    let (three, note_three) = state(&["a", "b", "c"], &signer);
    known.store(&three, &note_three).unwrap();
    known.store(&two, &note_two).unwrap();
    let loaded = known.load().unwrap();
    assert_eq!(loaded.seen.unwrap().note, note_three);
    assert_eq!((loaded.replica.size(), loaded.replica.tail()), (3, 9));
    assert_eq!(loaded.replica.history(), three.history());

    // Another history is refused, whether it is longer, as long or shorter.
    for entries in [&["a", "x", "c", "d"][..], &["a", "b", "x"]] {
        let (other, note) = state(entries, &signer);
        let error = known.store(&other, &note).unwrap_err();
        assert!(matches!(error, Error::Trust { .. }), "{error}");
    }
    assert_eq!(logs.evidence().unwrap().len(), 2);
    assert_eq!(known.load().unwrap().seen.unwrap().note, note_three);
}

#[test]
fn the_log_of_a_place_is_the_one_that_was_last_seen_there() {
    let dir = tempfile::tempdir().unwrap();
    let logs = KnownLogs::new(dir.path());
    let (one, other) = (logs.new_signer(None).unwrap(), logs.new_signer(None).unwrap());
    assert_eq!(logs.log_at("/a place"), None);
    for (place, log) in [("/a place", &one), ("https://b.example", &one), ("/a place", &other)] {
        logs.note_place(place, log.log_key()).unwrap();
        assert_eq!(logs.log_at(place).as_ref(), Some(log.log_key()));
    }
    assert_eq!(logs.log_at("https://b.example").as_ref(), Some(one.log_key()));
    logs.note_place("/two\nlines", one.log_key()).unwrap();
    assert_eq!(logs.log_at("/two\nlines"), None);
    assert_eq!(logs.evidence().unwrap(), []);
    files::replace(&dir.path().join(PLACES), b"noise\n\xff").unwrap();
    assert_eq!(logs.log_at("/a place"), None);
}

#[test]
fn a_damaged_replay_is_made_again_and_a_damaged_checkpoint_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let logs = KnownLogs::new(dir.path());
    let signer = logs.new_signer(Some("example.org/log")).unwrap();
    let known = logs.log(signer.log_key());
    let (two, note) = state(&["a", "b"], &signer);
    known.store(&two, &note).unwrap();
    let path = known.folder.join("replay");
    let good = std::fs::read(&path).unwrap();
    for at in [0, 64, 70, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        files::replace(&path, &bad).unwrap();
        let loaded = known.load().unwrap();
        assert_eq!((loaded.replica.size(), loaded.seen.unwrap().size), (0, 2), "{at}");
    }
    // One that is whole, but longer than a log of two entries can need.
    let (begin, end) = good[SUM_LEN..].split_at(1);
    let long = [begin, &vec![b' '; 3 * MAX_REPLAYED as usize], end].concat();
    let sum = format!("{}\n", Digest::of(&long));
    for bytes in [[sum.as_bytes(), &long].concat(), good[..good.len() - 32].to_vec()] {
        files::replace(&path, &bytes).unwrap();
        assert_eq!(known.load().unwrap().replica.size(), 0);
    }
    // One that was made by the rules of isn 0.1.0, which says none.
    let rules = good.windows(10).position(|bytes| bytes == b"\"rules\":2,").unwrap();
    let older = [&good[SUM_LEN..rules], &good[rules + 10..]].concat();
    let sum = format!("{}\n", Digest::of(&older));
    files::replace(&path, &[sum.as_bytes(), &older].concat()).unwrap();
    assert_eq!(known.load().unwrap().replica.size(), 0);
    files::replace(&path, &good).unwrap();
    assert_eq!(known.load().unwrap().replica.size(), 2);
    files::replace(&known.folder.join("checkpoint"), b"").unwrap();
    assert!(known.load().is_err());
}
