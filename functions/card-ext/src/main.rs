//! The function on Lambda.

use card_ext::CardExt;
use lambda_http::lambda_runtime::run;
use lambda_http::{Error, service_fn};
use shared::http::{App, HttpFunction as _};
use shared::setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = Setup::from_process(CardExt::NAME)?;
    let app = App::<CardExt>::start(&setup).await?;
    run(service_fn(|event| app.invoke(event))).await
}
