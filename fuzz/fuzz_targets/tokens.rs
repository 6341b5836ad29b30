//! Files of tokens: a client's, by host, and a server's, by hash.
#![no_main]

use isn::serve::tokens;
use isn_registry::transport::access::Token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match Token::parse_file("fuzz", data.to_vec()) {
        Ok(tokens) => assert!(tokens.iter().all(|token| token.host == token.host.to_ascii_lowercase())),
        // No error quotes a secret.
        Err(e) => assert_eq!(e.to_string(), "fuzz: expected lines of the form \"HOST\" = \"TOKEN\""),
    }
    if let Ok(tokens) = tokens::parse("fuzz", &String::from_utf8_lossy(data)) {
        let mut names: Vec<String> = tokens.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), tokens.len());
    }
});
