//! The known word that a mistyped one was probably meant to be.

/// The nearest of `known`, when it is near enough to be a mistake in typing.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // One slip in a short word, three in a long one.
    let slips_max = (word.chars().count() / 3).clamp(1, 3);
    let lower = word.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| {
            (strsim::osa_distance(&lower, &candidate.to_lowercase().replace('-', "_")), *candidate)
        })
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
        .or_else(|| {
            known.iter().copied().find(|candidate| begins_the_other(&lower, &candidate.to_lowercase()))
        })
}

/// Whether one word is the beginning of the other (`warning`, `warn`), and not a trivial one.
fn begins_the_other(a: &str, b: &str) -> bool {
    a.len().min(b.len()) >= 3 && (a.starts_with(b) || b.starts_with(a))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_only() {
        let known = ["issuers", "connections", "policies", "log"];
        assert_eq!(nearest("conections", &known), Some("connections"));
        assert_eq!(nearest("Policies", &known), Some("policies"));
        assert_eq!(nearest("lgo", &known), Some("log"));
        assert_eq!(nearest("secrets", &known), None);
        assert_eq!(nearest("logging", &known), Some("log"));
        assert_eq!(nearest("", &known), None);
    }
}
