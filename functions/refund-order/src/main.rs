//! The function on Lambda.

use lambda_http::lambda_runtime::run;
use lambda_http::{Error, service_fn};
use refund_order::RefundOrder;
use shared::direct::{App, DirectFunction as _};
use shared::setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = Setup::from_process(RefundOrder::NAME)?;
    let app = App::<RefundOrder>::start(&setup).await?;
    run(service_fn(|event| app.invoke(event))).await
}
