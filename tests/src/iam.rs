//! The roles of the functions, in every world: a test in which a function asks for more than its role allows has failed.

use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use local::iam::{Denied, Policies};
use local::pay_keys::KeyMode;
use shared::env::Env;

use crate::root;
use crate::world::World;

/// The roles of `template.yaml`.
pub static POLICIES: LazyLock<Arc<Policies>> =
    LazyLock::new(|| Arc::new(Policies::read(&root().join("template.yaml")).expect("the roles can be read")));

impl World {
    /// A machine whose functions have the roles of another template.
    pub async fn start_with_roles(template: &str) -> Self {
        let policies = Policies::parse(template).expect("the roles can be read");
        Self::start_as(Env::default(), Ipv4Addr::LOCALHOST.into(), KeyMode::default(), Arc::new(policies)).await
    }

    /// What functions were denied here. Only a test that expects something asks for it: it fails others.
    pub fn take_denied(&self) -> Vec<Denied> {
        self.machine.take_denied()
    }
}

/// A function may pass over what it was denied, and then its test fails all the same.
impl Drop for World {
    fn drop(&mut self) {
        write_unused_grants();
        let denied = self.take_denied();
        assert!(denied.is_empty() || std::thread::panicking(), "a role in template.yaml lacks something: {denied:?}");
    }
}

/// Keeps a file of what the roles allow and no test has needed yet, if `UNUSED_GRANTS` names one. After all tests there is
/// nothing in it.
fn write_unused_grants() {
    static PATH: LazyLock<Option<String>> = LazyLock::new(|| Env::process().get("UNUSED_GRANTS").map(str::to_owned));
    static WRITING: Mutex<()> = Mutex::new(());
    let Some(path) = &*PATH else { return };
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let unused: String = POLICIES.unused().iter().map(|grant| format!("{grant}\n")).collect();
    std::fs::write(path, unused).expect("the file can be written");
}
