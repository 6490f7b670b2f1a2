//! Where AWS's services are.

/// The base URL of a service in a region. Source: the endpoints of the AWS partitions `aws`, `aws-cn` and `aws-eusc`.
pub(crate) fn endpoint(service: &str, region: &str) -> String {
    let suffix = match region {
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ if region.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("https://{service}.{region}.{suffix}/")
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
}
