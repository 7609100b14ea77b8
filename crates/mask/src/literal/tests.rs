use super::*;

fn set(literals: &[&str]) -> LiteralSet {
    let needle = |l: &&str| Needle { bytes: l.as_bytes().into(), case: Case::Exact };
    LiteralSet::new(literals.iter().map(needle).collect(), vec![[true, false]; literals.len()])
}

fn found(set: &LiteralSet, text: &str) -> Vec<(usize, u32)> {
    let mut hits = Vec::new();
    set.scan(text.as_bytes(), 0, text.len(), &mut hits);
    hits.iter().map(|h| (h.start, h.literal)).collect()
}

#[test]
fn finds_overlapping_and_nested_literals() {
    let set = set(&["sk-", "sk-ant-", "nt-x"]);
    assert_eq!(found(&set, "sk-ant-x sk-"), [(0, 0), (0, 1), (4, 2), (9, 0)]);
}

#[test]
fn finds_each_of_many_at_every_alignment() {
    let literals: Vec<String> = (0..999).map(|n| format!("lit{n:03}")).collect();
    let set = set(&literals.iter().map(String::as_str).collect::<Vec<_>>());
    for lead in 0..STEP {
        let text = " ".repeat(lead) + &literals.concat();
        let expected: Vec<_> = (0..999).map(|n| (lead + 6 * n, u32::try_from(n).unwrap())).collect();
        assert_eq!(found(&set, &text), expected, "{lead}");
    }
}

#[test]
fn finds_short_literals_at_every_place_behind_any_byte() {
    let set = set(&["cio", "ghp_", "://", "token"]);
    for byte in 0..=255 {
        for lead in 0..4 {
            let mut text = vec![byte; lead];
            text.extend_from_slice(b"cio ghp_ ://token");
            let mut hits = Vec::new();
            set.scan(&text, 0, text.len(), &mut hits);
            let found: Vec<_> = hits.iter().map(|h| (h.start - lead, h.literal)).collect();
            assert_eq!(found, [(0, 0), (4, 1), (9, 2), (12, 3)], "{byte} {lead}");
        }
    }
}

#[test]
fn only_the_first_letter_may_have_either_case() {
    let needle = Needle { bytes: (*b"secret").into(), case: Case::First };
    let set = LiteralSet::new(vec![needle], vec![[false, true]]);
    assert_eq!(found(&set, "secret Secret SECRET secreT"), [(0, 0), (7, 0)]);
    for (text, open) in [("x S", 2), ("x SE", 4), ("x Secre", 2), ("x secret", 8), ("x \u{13}e", 4)] {
        assert_eq!(set.open_from(text.as_bytes(), [0, 0]), [text.len(), open], "{text}");
    }
}

#[test]
fn a_literal_in_any_case_occurs_in_any_case() {
    let needle = Needle { bytes: (*b"api key").into(), case: Case::Any };
    let set = LiteralSet::new(vec![needle], vec![[false; LANES]]);
    for (text, occurs) in [("my API Key is", true), ("api key", true), ("api_key", false), ("api ke", false)]
    {
        assert_eq!(set.occurs(text.as_bytes()), occurs, "{text}");
    }
}

#[test]
fn finds_what_starts_in_the_range_only() {
    let set = set(&["sk-"]);
    let mut hits = Vec::new();
    set.scan(b"sk-sk-sk-sk-", 3, 9, &mut hits);
    assert_eq!(hits.iter().map(|h| h.start).collect::<Vec<_>>(), [3, 6]);
}

#[test]
fn knows_what_may_still_become_a_literal() {
    let set = set(&["sk-", "sk-ant-"]);
    for (text, open) in
        [("x s", 2), ("x sk-", 2), ("x sk-a", 2), ("x sk-ant-", 9), ("x sk-b", 6), ("", 0), ("x SK-a", 6)]
    {
        assert_eq!(set.open_from(text.as_bytes(), [0, 0]), [open, text.len()], "{text}");
    }
}

#[test]
fn each_lane_has_its_own_literals_and_its_own_beginning() {
    let needle = |l: &str| Needle { bytes: l.as_bytes().into(), case: Case::Exact };
    let set = LiteralSet::new(vec![needle("abcd"), needle("cdef")], vec![[true, false], [false, true]]);
    assert_eq!(set.open_from(b"xabc", [0, 0]), [1, 3]);
    assert_eq!(set.open_from(b"xabc", [2, 0]), [4, 3]);
    assert_eq!(set.open_from(b"xabc", [0, 4]), [1, 4]);
}
