//! Why a request, or an operation in it, is not answered with a response of GraphQL.

use http::StatusCode;

use crate::live::Problem;

/// A request that cannot be read: the status of the answer and what is wrong.
pub(super) type Refusal = (StatusCode, Problem);

/// Why an operation was not run.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is malformed.
    Malformed(Problem),
    /// It is well-formed, but there is nothing in it that can be run here.
    Request(Problem),
    /// A mutation came as a GET.
    Method(Problem),
    /// It took too long.
    Time(Problem),
}

impl Refused {
    /// As the client is told.
    pub(super) fn problem(&self) -> &Problem {
        match self {
            Self::Malformed(problem) | Self::Request(problem) | Self::Method(problem) | Self::Time(problem) => problem,
        }
    }
}
