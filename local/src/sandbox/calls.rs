//! The log of calls.

use serde::Serialize;

use super::answer::Answer;

/// A call of WeChat's API. It has no status while it is under way, and status 0 if its connection was dropped.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    method: String,
    path: String,
    app_id: String,
    status: Option<u16>,
    errcode: Option<i64>,
    rid: Option<String>,
    /// Of a refusal of WeChat Pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The merchant's number of the order that a call of WeChat Pay names.
    #[serde(skip_serializing_if = "Option::is_none")]
    out_trade_no: Option<String>,
    /// That of a refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    out_refund_no: Option<String>,
    /// Whether it was to end the tokens before it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forced: bool,
    #[serde(skip)]
    id: u64,
}

/// What a call of WeChat Pay is about, as far as it says so.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) app_id: String,
    pub(crate) out_trade_no: Option<String>,
    pub(crate) out_refund_no: Option<String>,
}

impl Call {
    pub(crate) fn new(method: String, path: String, app_id: String, forced: bool) -> Self {
        let (status, errcode, rid, code) = (None, None, None, None);
        let (out_trade_no, out_refund_no) = (None, None);
        Self { method, path, app_id, status, errcode, rid, code, out_trade_no, out_refund_no, forced, id: 0 }
    }

    /// One of WeChat Pay, whose path is its route.
    pub(crate) fn of_pay(method: String, path: String, named: Named) -> Self {
        let Named { app_id, out_trade_no, out_refund_no } = named;
        Self { out_trade_no, out_refund_no, ..Self::new(method, path, app_id, false) }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// All calls, in the order of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: Vec<Call>,
    next_id: u64,
}

impl Calls {
    /// Writes down a call that has arrived.
    pub(crate) fn begin(&mut self, call: Call) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.calls.push(Call { id, ..call });
        id
    }

    /// Writes down how it was answered.
    pub(crate) fn end(&mut self, id: u64, answer: &Answer) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.id == id) {
            call.status = Some(answer.status());
            call.errcode = answer.errcode();
            call.code = answer.code().map(str::to_owned);
            call.rid = answer.rid().map(str::to_owned);
        }
    }

    pub(crate) fn of_path(&self, path: Option<&str>) -> Vec<&Call> {
        self.calls.iter().filter(|call| path.is_none_or(|path| path == call.path)).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
    }
}
