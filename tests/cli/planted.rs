//! Files put into a registry's storage by hand, and a user who trusts no key and reads
//! them with little memory.

use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::statement::{ReleaseStatement, SignedStatement, Statement};
use isn_registry::keyring::read_private;
use isn_registry::registry::layout;

use crate::sandbox::{ISN, Ran, Sandbox, ran};

impl Sandbox {
    /// Writes an object to the path that its hash gives.
    pub fn plant(&self, registry: &str, kind: ObjectKind, bytes: &[u8]) -> ObjectRef {
        let reference = ObjectRef::of(bytes);
        self.write(&format!("{registry}/{}", layout::object(kind, &reference.blake3)), bytes);
        reference
    }

    /// Releases something, signed by the key `me`.
    pub fn plant_release(&self, registry: &str, release: ReleaseStatement) {
        let path = format!("{registry}/{}", layout::release(&release.id));
        let key = read_private(&self.path("home/keys/me")).unwrap().unlock(|| Ok(None)).unwrap();
        let signed = SignedStatement::sign(&Statement::Release(release), &key).unwrap();
        self.write(&path, signed.bytes());
    }

    /// Runs isn as a user who trusts no key, with at most this many MiB.
    pub fn with_memory(&self, mebibytes: u64, args: &[&str]) -> Ran {
        self.at_home_with_memory("stranger", mebibytes, args)
    }

    /// Does the same as another user.
    pub fn at_home_with_memory(&self, home: &str, mebibytes: u64, args: &[&str]) -> Ran {
        let mut limited = self.program("sh");
        let limit = format!("ulimit -d {}; exec \"$0\" \"$@\"", mebibytes << 10);
        limited.args(["-c", &limit, ISN]).args(args);
        ran(limited.env("ISN_HOME", self.path(home)).env("MALLOC_ARENA_MAX", "2"))
    }
}
