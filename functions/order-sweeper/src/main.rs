//! The function on Lambda.

use lambda_http::lambda_runtime::run;
use lambda_http::{Error, service_fn};
use order_sweeper::OrderSweeper;
use shared::direct::{App, DirectFunction as _};
use shared::setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = Setup::from_process(OrderSweeper::NAME)?;
    let app = App::<OrderSweeper>::start(&setup).await?;
    run(service_fn(|event| app.invoke(event))).await
}
