//! The function on Lambda.

use lambda_http::lambda_runtime::run;
use lambda_http::{Error, service_fn};
use shared::http::{App, HttpFunction as _};
use shared::setup::Setup;
use user_info::UserInfo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = Setup::from_process(UserInfo::NAME)?;
    let app = App::<UserInfo>::start(&setup).await?;
    run(service_fn(|event| app.invoke(event))).await
}
