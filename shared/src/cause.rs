//! Why something failed, as a text for the log.

use std::error::Error;

/// An error and its reasons, outermost first.
pub fn chain(err: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(err), |&err| err.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
