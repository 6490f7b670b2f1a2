//! WeChat Pay, version 3: JSON over HTTP, signed with RSA both ways.
