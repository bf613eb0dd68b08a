//! What can be wrong with the input of a mutation. In the API, `UserError`.

/// Why something was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A value is missing.
    Required,
    /// A value is not one of its type.
    Invalid,
    /// Too few characters or items.
    TooShort,
    /// Too many characters or items.
    TooLong,
    /// A number or a time beyond its limits.
    OutOfRange,
    /// A text that does not match its pattern.
    PatternMismatch,
    /// Another row has this value of a unique key.
    NotUnique,
    /// There is no such row, or the caller may not see it.
    NotFound,
    /// Other rows point at this one.
    Referenced,
    /// A value that cannot be changed here.
    Immutable,
    /// The caller may not do this.
    Forbidden,
    /// The row has another version by now.
    VersionConflict,
    /// More rows than one mutation may write, or more than the caller may have.
    TooMany,
    /// The idempotency key belongs to a mutation with another input.
    IdempotencyKeyReused,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Required,
        Self::Invalid,
        Self::TooShort,
        Self::TooLong,
        Self::OutOfRange,
        Self::PatternMismatch,
        Self::NotUnique,
        Self::NotFound,
        Self::Referenced,
        Self::Immutable,
        Self::Forbidden,
        Self::VersionConflict,
        Self::TooMany,
        Self::IdempotencyKeyReused,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "REQUIRED",
            Self::Invalid => "INVALID",
            Self::TooShort => "TOO_SHORT",
            Self::TooLong => "TOO_LONG",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::PatternMismatch => "PATTERN_MISMATCH",
            Self::NotUnique => "NOT_UNIQUE",
            Self::NotFound => "NOT_FOUND",
            Self::Referenced => "REFERENCED",
            Self::Immutable => "IMMUTABLE",
            Self::Forbidden => "FORBIDDEN",
            Self::VersionConflict => "VERSION_CONFLICT",
            Self::TooMany => "TOO_MANY",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
        }
    }

    /// By its name in the API.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// Something that is wrong with a mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What kind of thing.
    pub code: Code,
    /// A sentence for the client.
    pub message: String,
    /// Where in the input.
    pub path: Vec<String>,
}

impl Violation {
    /// At this path, with one more name at its end.
    pub fn at(path: &[String], name: &str, code: Code, message: impl Into<String>) -> Self {
        let path = path.iter().map(String::as_str).chain([name]).map(str::to_owned).collect();
        Self { code, message: message.into(), path }
    }

    /// At the path of these names.
    pub fn named(path: &[&str], code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: path.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// About the input as a whole.
    pub fn whole(code: Code, message: impl Into<String>) -> Self {
        Self::named(&[], code, message)
    }
}
