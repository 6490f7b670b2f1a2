//! What a function's process is started with.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::World;

/// The variables of a function, as `cargo dev` writes them for `sam local invoke`.
pub fn variables(world: &World, logical_id: &str) -> BTreeMap<String, String> {
    let name = format!("wechat-functions-{}.json", shared::random::base64url::<12>());
    let path = std::env::temp_dir().join(name);
    world.machine.write_env_vars(path.clone()).unwrap();
    let env: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    serde_json::from_value(env[logical_id].clone()).unwrap()
}
