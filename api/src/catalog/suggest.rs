//! What somebody who mistyped a name may have meant.

/// At most this many names are listed; more would hide the message.
const MAX_LISTED: usize = 24;

/// `did you mean x?` if one of the allowed names is near, else all of them.
pub fn help<'a>(name: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    let allowed: Vec<_> = allowed.into_iter().collect();
    match nearest(name, &allowed) {
        Some(near) => format!("did you mean `{near}`?"),
        None => list(&allowed),
    }
}

/// `allowed: a, b, c`
pub fn list(allowed: &[&str]) -> String {
    if allowed.is_empty() {
        return "there is none".to_owned();
    }
    let more = if allowed.len() > MAX_LISTED { ", …" } else { "" };
    format!("allowed: {}{more}", allowed[..allowed.len().min(MAX_LISTED)].join(", "))
}

/// The allowed name with the fewest changes, if they are few for its length. Case counts for nothing.
fn nearest<'a>(name: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let most = (name.chars().count() / 3).max(1);
    allowed
        .iter()
        .map(|candidate| (distance(&name, &candidate.to_ascii_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, remove, replace or swap with their neighbour (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<_>, Vec<_>) = (from.chars().collect(), to.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                let swapped: &Vec<usize> = &before_last;
                least = least.min(swapped[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        let allowed = ["unique", "index", "inverse", "eq"];
        for (name, expected) in [
            ("uniqe", Some("unique")),
            ("UNIQUE", Some("unique")),
            ("idnex", Some("index")),
            ("inverze", Some("inverse")),
            ("qe", Some("eq")),
            ("banana", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, &allowed), expected, "{name}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(help("zzzzzz", ["a", "b"]), "allowed: a, b");
        assert!(list(&["a"; 100]).ends_with(", …"));
        assert_eq!(list(&[]), "there is none");
    }
}
