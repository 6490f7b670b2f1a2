//! WeChat's error codes, and what to do about each.
//!
//! Source: the "Global Return Code" tables of the mini program and official account documentation, and the tables of
//! the single APIs. Codes that are in none of them have been seen in answers.

/// The request itself needs a user whom WeChat does not consider dangerous.
pub const CODE_BLOCKED: i64 = 40226;
/// The code is wrong, too old, or another app's.
pub const INVALID_CODE: i64 = 40029;
/// The code has been exchanged before.
pub const CODE_BEEN_USED: i64 = 40163;
/// The openid is none of the app's.
pub const INVALID_OPENID: i64 = 40003;
/// The openid is of another appid.
pub const OPENID_MISMATCH: i64 = 43104;
/// The appid is wrong, or not the one that the rest of the request is of.
pub const INVALID_APPID: i64 = 40013;
/// The caller's address is not in the whitelist.
pub const INVALID_IP: i64 = 40164;

/// What can be done about an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The access token or secret is not (any more) the right one.
    Credential,
    /// WeChat refuses this user.
    Blocked,
    /// Ask again after a pause.
    Busy,
    /// The client has to bring something new, such as a code.
    Input,
    /// Too many calls in this minute.
    MinuteQuota,
    /// Somebody with access to WeChat's console, or to our configuration, has to act.
    Operator,
    /// Too many calls in this day or month.
    Quota,
    /// Our request is wrong.
    Request,
    /// A code that the documentation does not list.
    Unknown,
}

/// What can be done about `errcode`.
pub fn class(errcode: i64) -> Class {
    match errcode {
        -1 | 43108 | 44990 | 87020 => Class::Busy,
        40001 | 40014 | 42001 => Class::Credential,
        CODE_BLOCKED => Class::Blocked,
        INVALID_CODE | CODE_BEEN_USED | 42003 | 42007 | 87007..=87009 => Class::Input,
        44991 | 45011 => Class::MinuteQuota,
        44993 | 45009 | 45047 | 48006 => Class::Quota,
        INVALID_APPID | 40125 | INVALID_IP | 40243 | 41002 | 41004 | 48001 | 48004 | 50004 | 50007 | 61004 | 61007
        | 89002 | 89503 | 89506 | 89507 => Class::Operator,
        40002
        | INVALID_OPENID
        | 40004
        | 40007
        | 40016
        | 40033
        | 40035
        | 40037
        | 40066
        | 40097
        | 40101
        | 40129
        | 40132
        | 40159
        | 40165
        | 40169
        | 41001
        | 41003
        | 41005
        | 41008
        | 41009
        | 41030
        | 42002
        | 43001..=43004
        | 43101
        | OPENID_MISMATCH
        | 43107
        | 44002
        | 45002
        | 45015
        | 45029
        | 45168
        | 46001
        | 47001
        | 47003
        | 50001
        | 50002
        | 61010
        | 76001..=76004
        | 76021
        | 76022
        | 85096
        | 87014
        | 89300 => Class::Request,
        _ => Class::Unknown,
    }
}
