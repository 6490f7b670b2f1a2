//! The function on Lambda.

use lambda_http::{Error, run, service_fn};
use phone_decrypt::PhoneDecrypt;
use shared::http::{App, HttpFunction as _};
use shared::setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = Setup::from_process(PhoneDecrypt::NAME)?;
    let app = App::<PhoneDecrypt>::start(&setup).await?;
    run(service_fn(|request| app.respond(request))).await
}
