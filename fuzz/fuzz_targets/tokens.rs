//! Files of tokens: those that a client shows, by host, and those that a server knows, by their hashes.
#![no_main]

use isn::serve::tokens;
use isn_registry::transport::access::Token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match Token::parse_file("fuzz", data.to_vec()) {
        Ok(tokens) => assert!(tokens.iter().all(|token| token.host == token.host.to_ascii_lowercase())),
        // Whatever is wrong, no secret is quoted.
        Err(e) => assert_eq!(e.to_string(), "fuzz: expected lines of the form \"HOST\" = \"TOKEN\""),
    }
    if let Ok(tokens) = tokens::parse("fuzz", &String::from_utf8_lossy(data)) {
        let mut names: Vec<String> = tokens.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), tokens.len());
    }
});
