//! What `mask` rules may ask for.

use super::*;
use crate::field::FIELDS_MAX;

#[test]
fn a_mask_names_fields_and_exceptions() {
    let policy = load(
        "  - {id: a, effect: allow, when: 'true'}
  - id: m
    effect: mask
    when: 'true'
    mask:
      detect: [credentials]
      where: [response, headers]
      style: hash
      fields: [{path: $.user.email}, {header: X-Inner, style: drop}, {form: pin, style: keep-last-4}]
      except: [$..trace]
  - {id: n, effect: mask, when: 'true', mask: {where: [stream], fields: [{path: '$..pin'}]}}
",
    )
    .expect("loads");
    let decision = policy.decide(&World::new().facts());
    let [first, second] = decision.mask.as_slice() else { panic!("{:?}", decision.mask) };
    let fields: Vec<String> = first.fields.iter().map(|f| format!("{} {:?}", f.field, f.style)).collect();
    assert_eq!(fields, ["$.user.email Hash", "header x-inner Drop", "form field pin KeepLast4"]);
    assert_eq!((first.except[0].as_str(), &*first.rule, second.detect.len()), ("$..trace", "m", 0));
}

#[test]
fn what_a_mask_cannot_do_is_refused() {
    let with = |mask: &str| {
        let text = format!(
            "  - {{id: a, effect: allow, when: 'true'}}\n  - {{id: m, effect: mask, when: 'true', mask: {{{mask}}}}}\n"
        );
        load(&text)
            .expect_err(mask)
            .iter()
            .map(|e| format!("{e} {}", e.help.clone().unwrap_or_default()))
            .collect::<Vec<_>>()
            .concat()
    };
    let many = (0..=FIELDS_MAX).map(|n| format!("$.a{n},")).collect::<Vec<_>>().concat();
    for (mask, says) in [
        ("where: [response]", "neither `detect` nor `fields`"),
        ("detect: [credentials], where: [response], style: sha1", "`style` cannot be `sha1`"),
        ("detect: [credentials], where: [response], style: keep-last4", "did you mean `keep-last-4`?"),
        ("detect: [credentials], where: [body]", "known are: response"),
        ("where: [response], fields: []", "`fields` is empty"),
        ("where: [response], fields: [{path: user}]", "begins with `$`"),
        ("where: [response], fields: [{path: $.a, form: b}]", "one of `path`, `header` and `form`"),
        ("where: [response], fields: [{header: x-a}]", "add `headers` for a header"),
        ("where: [headers], fields: [{path: $.a}]", "nowhere that `where` names"),
        ("where: [headers], fields: [{header: 'x a'}]", "no name of a header"),
        ("where: [headers], fields: [{header: Content-Length}]", "the answer is broken"),
        ("where: [response], fields: [{path: $.a, style: gone}]", "`style` cannot be `gone`"),
        ("detect: [credentials], where: [response], except: ['$.a[']", "`]` is missing"),
        ("detect: [credentials], where: [response], exept: ['$.a']", "did you mean `except`?"),
        (&format!("detect: [credentials], where: [response], except: [{many}]"), "at most 64"),
    ] {
        let found = with(mask);
        assert!(found.contains(says), "{mask}: {found}");
        assert!(found.contains(":6:"), "{mask}: {found}");
    }
    assert!(!with("detect: [credentials], where: [body]").contains("nowhere"), "one mistake, told once");
}
