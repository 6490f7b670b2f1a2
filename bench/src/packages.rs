//! What `.ci/packages` has built, where the environment says that it is to be measured: by cargo-lambda, for each
//! architecture, as it is deployed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shared::env::Env;
use stubs::binaries::root;

/// The folder, such as `target/packages`. Nothing is looked for without it, because what is found may be old.
const VARIABLE: &str = "RELEASE_PACKAGES";

/// The architectures, as AWS calls them: this machine's, and the other one.
pub const ARCHITECTURES: [&str; 2] =
    if cfg!(target_arch = "aarch64") { ["arm64", "x86_64"] } else { ["x86_64", "arm64"] };

/// The binaries for an architecture, as far as they are there.
pub fn of(architecture: &str, packages: &[String]) -> BTreeMap<String, PathBuf> {
    let env = Env::process();
    let Some(folder) = env.get(VARIABLE) else { return BTreeMap::new() };
    let folder = root().join(folder).join(architecture);
    let binaries = packages.iter().map(|name| (name.clone(), folder.join(name).join("bootstrap")));
    binaries.filter(|(_, binary)| binary.is_file()).collect()
}
