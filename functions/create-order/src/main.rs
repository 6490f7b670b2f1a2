//! The function on Lambda.

use create_order::CreateOrder;
use lambda_http::lambda_runtime::run;
use lambda_http::{Error, service_fn};
use shared::http::{App, HttpFunction as _};
use shared::setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = Setup::from_process(CreateOrder::NAME)?;
    let app = App::<CreateOrder>::start(&setup).await?;
    run(service_fn(|event| app.invoke(event))).await
}
