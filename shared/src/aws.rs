//! AWS: who calls, where the services are, and how a request says who it is from.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use lambda_http::http::Request;

use crate::clock::Clock;

/// Who calls AWS, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The region of the function.
    pub region: String,
    /// Lambda gives an instance its credentials at start, and they live as long as it does.
    pub credentials: Credentials,
    identity: Identity,
    clock: Clock,
}

/// The request cannot be signed: the URL or a header is none.
#[derive(Debug)]
pub(crate) struct Unsignable;

impl Caller {
    /// A caller in a region.
    pub fn new(credentials: Credentials, region: String, clock: Clock) -> Self {
        Self { region, identity: credentials.clone().into(), credentials, clock }
    }

    /// Signs a request to a service in a region. Source: AWS Signature Version 4 for API requests.
    pub(crate) fn sign<B: AsRef<[u8]>>(
        &self,
        service: &str,
        region: &str,
        request: &mut Request<B>,
    ) -> Result<(), Unsignable> {
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(region)
            .name(service)
            .time(self.clock.now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| Unsignable)?;
        let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let (method, uri) = (request.method().as_str(), request.uri().to_string());
        let body = SignableBody::Bytes(request.body().as_ref());
        let signable = SignableRequest::new(method, &uri, headers, body).map_err(|_| Unsignable)?;
        let (instructions, _signature) = sign(signable, &params.into()).map_err(|_| Unsignable)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}

/// The base URL of a service in a region. Source: the endpoints of the AWS partitions `aws`, `aws-cn` and `aws-eusc`.
pub(crate) fn endpoint(service: &str, region: &str) -> String {
    let suffix = match region {
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ if region.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("https://{service}.{region}.{suffix}/")
}

/// The region in an ARN: `arn:PARTITION:SERVICE:REGION:ACCOUNT:..`.
pub(crate) fn region_of(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    (parts.next()? == "arn").then(|| parts.nth(2)).flatten().filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_lies_in_its_partition() {
        assert_eq!(endpoint("dynamodb", "us-east-1"), "https://dynamodb.us-east-1.amazonaws.com/");
        assert_eq!(endpoint("dynamodb", "cn-north-1"), "https://dynamodb.cn-north-1.amazonaws.com.cn/");
        assert_eq!(endpoint("dynamodb", "eusc-de-east-1"), "https://dynamodb.eusc-de-east-1.amazonaws.eu/");
    }

    #[test]
    fn the_region_is_that_of_the_arn() {
        assert_eq!(region_of("arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:x"), Some("cn-north-1"));
        assert_eq!(region_of("my-secret"), None);
    }
}
