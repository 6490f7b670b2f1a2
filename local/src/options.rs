//! How the local machine is started.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use shared::clock::Clock;
use shared::env::Env;

use crate::iam::Policies;
use crate::pay_keys::KeyMode;

/// How the machine is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on.
    pub bind: IpAddr,
    /// The gateway's port; 0 is any free one, here and below.
    pub port: u16,
    /// The sandbox's port.
    pub sandbox_port: u16,
    /// DynamoDB's port.
    pub dynamodb_port: u16,
    /// Where the table is kept; in memory if nowhere.
    pub data: Option<PathBuf>,
    /// The environment outside: what is set there wins.
    pub env: Env,
    /// The clock of the functions and the sandbox.
    pub clock: Clock,
    /// Whether a table that is missing is made on AWS too. Elsewhere it always is.
    pub make_table: bool,
    /// Whether it starts also where some endpoints are on other machines, and the sandbox is the rest.
    pub mixed: bool,
    /// Whether the sandbox answers what is given from outside as well: something in front of it may be what is given.
    pub whole_sandbox: bool,
    /// Which of WeChat Pay's keys the sandbox's merchant has at the start.
    pub pay_keys: KeyMode,
    /// Whether the timers run.
    pub schedule: bool,
    /// What each function may do at the embedded DynamoDB and the local Lambda; anything, if nothing is said.
    pub policies: Option<Arc<Policies>>,
}

impl Default for Options {
    /// Free ports of the loopback address, nothing set, nothing kept, no timers.
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            sandbox_port: 0,
            dynamodb_port: 0,
            data: None,
            env: Env::default(),
            clock: Clock::system(),
            make_table: false,
            mixed: false,
            whole_sandbox: false,
            pay_keys: KeyMode::default(),
            schedule: false,
            policies: None,
        }
    }
}
