//! Signatures of WeChat Pay's kind (RSA of 2048 bits, PKCS#1 v1.5, SHA-256) in a second on one core, and OpenSSL's own
//! figures beside them.
#![expect(clippy::print_stdout, reason = "it is what the benchmark is run for")]
#![expect(clippy::expect_used, reason = "a measurement that cannot go on has failed")]

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::table;
use clap::Parser;
use shared::clock::Clock;
use shared::secret::Secret;
use shared::wechatpay::Merchant;
use stubs::wechatpay::{merchant, signed};

/// About as long as what is signed for an order.
const MESSAGE: [u8; 600] = [b'x'; 600];

#[derive(Parser)]
struct Options {
    /// How long each is measured.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let (time, json) = (Duration::from_secs(options.seconds), Secret::new(merchant()));
    let merchant = Merchant::parse(&json).expect("a merchant");
    let body = String::from_utf8(MESSAGE.to_vec()).expect("ASCII");
    // Within the five minutes for which they are good.
    let (headers, now) = (signed(&body), Clock::system().timestamp());
    let row = |name: &str, rate: f64| vec![name.to_owned(), format!("{rate:.0}")];
    let mut rows = vec![
        row("sign, here", per_second(time, || black_box(merchant.sign(&MESSAGE)).expect("signed").len())),
        row(
            "verify, here",
            per_second(time, || merchant.verifier().keyring().verify(&headers, &body, now).expect("good").len()),
        ),
        row("read the configuration, here", per_second(time, || black_box(Merchant::parse(&json)).is_ok().into())),
    ];
    match openssl(options.seconds) {
        Some([sign, verify]) => rows.extend([row("sign, OpenSSL", sign), row("verify, OpenSSL", verify)]),
        None => println!("There is no `openssl` to compare with."),
    }
    table::print(&["", "a second"], &rows);
}

fn per_second(time: Duration, work: impl Fn() -> usize) -> f64 {
    let (started, mut times) = (Instant::now(), 0_u32);
    while started.elapsed() < time {
        black_box(work());
        times += 1;
    }
    f64::from(times) / started.elapsed().as_secs_f64()
}

/// What `openssl speed` says for RSA of 2048 bits.
fn openssl(seconds: u64) -> Option<[f64; 2]> {
    let output = Command::new("openssl").args(["speed", "-mr", "-seconds", &seconds.to_string(), "rsa2048"]).output();
    let output = String::from_utf8(output.ok()?.stdout).ok()?;
    // `+F2:<index>:<bits>:<signatures a second>:<verifications a second>`, and seconds for one before version 3.
    let line = output.lines().find(|line| line.starts_with("+F2:"))?;
    let numbers: Vec<f64> = line.split(':').skip(3).map(|number| number.parse().ok()).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [sign, verify, ..] => Some([sign, verify].map(|rate| if *rate < 1.0 { 1.0 / rate } else { *rate })),
        _ => None,
    }
}
