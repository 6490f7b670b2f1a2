//! The function on Lambda.

use lambda_http::lambda_runtime::run;
use lambda_http::{Error, service_fn};
use logout::Logout;
use shared::http::{App, HttpFunction as _};
use shared::setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = Setup::from_process(Logout::NAME)?;
    let app = App::<Logout>::start(&setup).await?;
    run(service_fn(|event| app.invoke(event))).await
}
