//! The store that ships, which every benchmark runs on.

/// The resource file.
pub const RESOURCES: &str = include_str!("../../resources.graphql");
