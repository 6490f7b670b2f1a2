//! Faults on request: the next calls of a path go wrong in a chosen way.

use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::pay::{self, Reply, Tamper};
use super::{PATHS, PAY_PATHS};

/// What goes wrong, where, and how often.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Fault {
    /// The path of WeChat's API.
    path: String,
    /// For how many calls.
    #[serde(default = "once")]
    times: u32,
    /// Answers with this errcode; nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// Answers as WeChat Pay with this code, and the status that goes with it; nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Answers with this status; nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Waits before anything else.
    #[serde(default)]
    latency_ms: u64,
    /// Waits when everything is done.
    #[serde(default)]
    answer_latency_ms: u64,
    /// Ends the connection before the work is done, or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drop: Option<When>,
    /// Does the work, and answers with an empty body.
    #[serde(default)]
    empty_body: bool,
    /// Does the work, and answers as WeChat Pay with something wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tamper: Option<Tamper>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum When {
    After,
    Before,
}

fn once() -> u32 {
    1
}

/// Whether the work is to be done.
pub(crate) enum Work {
    Do,
    Skip(Answer),
}

impl Fault {
    /// Whether it can happen at all.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let path = self.path.as_str();
        let is_pay = PAY_PATHS.contains(&path);
        let of_content = self.tamper.is_some_and(Tamper::is_of_content);
        let has_answer = self.code.is_none() && self.drop.is_none() && self.status.is_none_or(|status| status < 400);
        let has_content = self.tamper.is_some_and(|tamper| match path {
            pay::BY_ID | pay::BY_NUMBER => tamper.is_of_transactions(),
            pay::REFUND | pay::REFUNDS => tamper.is_of_refunds(),
            pay::CERTIFICATES => tamper == Tamper::ExtraFields,
            _ => false,
        });
        let of_envelope = self.tamper.is_some_and(Tamper::is_of_envelope);
        match () {
            () if !is_pay && !PATHS.contains(&path) => Err("there is no such path"),
            () if !is_pay && (self.code.is_some() || self.tamper.is_some()) => {
                Err("code and tamper are for WeChat Pay only")
            }
            () if is_pay && self.errcode.is_some() => Err("WeChat Pay has no errcode, but code and status"),
            () if self.status.is_some_and(|status| !(200..600).contains(&status)) => Err("a status is from 200 to 599"),
            () if self.code.is_some() && self.status.is_none_or(|status| status < 400) => {
                Err("a code goes with a status from 400 to 599")
            }
            () if self.tamper.is_some() && !has_answer => {
                Err("tamper goes with an answer that is signed: with no code, drop or status from 400 on")
            }
            () if of_content && !has_content => Err("the answer has no such content"),
            () if of_envelope && path != pay::CERTIFICATES => Err("only notifications and certificates are encrypted"),
            () if self.tamper == Some(Tamper::Body) && path == pay::CLOSE => Err("the answer has no body"),
            () => Ok(()),
        }
    }

    pub(crate) fn latency_before(&self) -> Duration {
        Duration::from_millis(self.latency_ms)
    }

    pub(crate) fn latency_after(&self) -> Duration {
        Duration::from_millis(self.answer_latency_ms)
    }

    pub(crate) fn before_work(&self) -> Work {
        let status = self.status.and_then(|status| StatusCode::from_u16(status).ok());
        match (self.drop, status, self.errcode, &self.code) {
            (Some(When::Before), _, _, _) => Work::Skip(Answer::Drop),
            (_, Some(status), _, Some(code)) => {
                Work::Skip(Answer::Pay(Reply::refusal(status.as_u16(), code, "injected")))
            }
            (_, Some(status), _, None) => Work::Skip(Answer::Status(status)),
            (_, None, Some(errcode), _) => Work::Skip(Answer::refusal(errcode, "injected")),
            (_, None, None, _) => Work::Do,
        }
    }

    pub(crate) fn after_work(&self, answer: Answer) -> Answer {
        match (self.drop, self.empty_body) {
            (Some(When::After), _) => Answer::Drop,
            (_, true) => answer.emptied(),
            _ => answer,
        }
    }
}

/// The faults to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn all(&self) -> &[Fault] {
        &self.0
    }

    /// The fault of the next call of a path; one without any fault if there is none.
    pub(crate) fn next(&mut self, path: &str) -> Fault {
        let Some(fault) = self.0.iter_mut().find(|fault| fault.path == path && fault.times > 0) else {
            return Fault::default();
        };
        fault.times -= 1;
        let next = fault.clone();
        self.0.retain(|fault| fault.times > 0);
        next
    }
}
