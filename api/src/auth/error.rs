//! Why a token is refused, in words that are safe to give to the caller.

/// Why a token is refused. Every one of them is UNAUTHENTICATED; the text is for the caller and holds nothing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The header has another scheme, or there is more than one.
    #[error("the Authorization header must have the form \"Bearer <token>\"")]
    NotBearer,
    /// It is no JWT, its header names no known algorithm, or it is larger than a token may be.
    #[error("the token is malformed")]
    Malformed,
    /// The token names another algorithm than that of the key.
    #[error("the token is signed with an algorithm that is not accepted")]
    WrongAlgorithm,
    /// Somebody else made it, or it was changed.
    #[error("the signature of the token is not valid")]
    BadSignature,
    /// The key set does not hold the key that the token names.
    #[error("the key of the token is not known")]
    UnknownKey,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iss` is none of the accepted ones.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// `aud` is none of the accepted ones.
    #[error("the token is for another audience")]
    WrongAudience,
    /// A claim that every token needs is missing or has the wrong type.
    #[error("the token has no valid claim \"{0}\"")]
    MissingClaim(&'static str),
}
