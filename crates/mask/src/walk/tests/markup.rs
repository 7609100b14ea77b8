use super::*;

const XML: BodyFormat = BodyFormat::Markup(Markup::Xml);
const HTML: BodyFormat = BodyFormat::Markup(Markup::Html);

fn references(text: &str) -> String {
    let characters: Vec<String> = text
        .chars()
        .enumerate()
        .map(|(n, c)| match n % 3 {
            0 => format!("&#{};", u32::from(c)),
            1 => format!("&#x{:X};", u32::from(c)),
            _ => c.to_string(),
        })
        .collect();
    characters.concat()
}

#[test]
fn texts_and_values_are_matched_by_what_they_mean() {
    for spelled in [CANARY.to_owned(), references(CANARY)] {
        let body = format!(
            "<?xml version=\"1.0\"?><a b=\"x {spelled}\" c='{spelled}' d={spelled}>t &amp; {spelled}<e/>{spelled}</a>"
        );
        let wanted = format!(
            "<?xml version=\"1.0\"?><a b=\"x {MASKED}\" c='{MASKED}' d={MASKED}>t &amp; {MASKED}<e/>{MASKED}</a>"
        );
        assert_eq!(mask(XML, &body), wanted);
        assert_eq!(mask(HTML, &body), wanted);
    }
}

#[test]
fn comments_character_data_declarations_and_names_are_looked_at() {
    for body in [
        "<!-- - @ -- @ --->x<b>@</b>",
        "<a><![CDATA[ @ ]] <b> @]]>&lt;</a>",
        "<!DOCTYPE a [<!ENTITY b \"@\"> ]>@",
        "<?php $key = '@'; ?>",
        "<a @='1'/><@/>",
        "a < @ <3 @",
    ] {
        for format in [XML, HTML] {
            assert_eq!(mask(format, &body.replace('@', CANARY)), body.replace('@', MASKED));
        }
    }
}

#[test]
fn names_that_detectors_know_are_looked_at_too() {
    let key = ["AKIA", "Q3EGRZ7MXT4WLKPN"].concat();
    for body in ["<a @=1></a>", "<@>x</@>", "<a b @>", "<script>x</script @>"] {
        let masked = mask_with(&with_detectors(), HTML, &body.replace('@', &key));
        assert!(!masked.contains(&key) && masked.contains("[REDACTED:aws"), "{masked}");
    }
}

#[test]
fn scripts_are_text_and_json_in_them_is_json() {
    let body = format!(
        "<script type=\"application/json\">{{\"a\": \"{}\", \"b\": \"<b>&amp;\"}}</SCRIPT><style>a {{}}</style><p>{CANARY}</p>",
        escaped(CANARY)
    );
    let wanted = format!(
        "<script type=\"application/json\">{{\"a\": \"{MASKED}\", \"b\": \"<b>&amp;\"}}</SCRIPT><style>a {{}}</style><p>{MASKED}</p>"
    );
    assert_eq!(mask(HTML, &body), wanted);
}

#[test]
fn names_are_context() {
    let secret = ["gF7xK2mQ9", "vLp4TzW8"].concat();
    for body in [
        "<client_secret>@</client_secret>",
        "<add key=\"ClientSecret\" value=\"@\"/>",
        "<string name=\"client_secret\">@</string>",
        "<key>ClientSecret</key>\n<string>@</string>",
        "<tr><td>Client secret:</td> <td class=\"x\">@</td></tr>",
        "<b>client_secret</b>: @",
        "<input type=hidden name=client_secret value=@>",
    ] {
        let masked = mask_with(&with_detectors(), HTML, &body.replace('@', &secret));
        let (before, after) = body.split_once('@').unwrap();
        assert!(masked.starts_with(before) && masked.ends_with(after), "{masked}");
        assert!(!masked.contains(&secret), "{masked}");
    }
}

#[test]
fn catalogue_74_what_takes_a_secrets_place_is_inert() {
    let profile = profile_of(&[("</script>\"'&$1<b>", CANARY)]);
    for (format, body) in [
        (HTML, "<a b='@'>@</a>"),
        (BodyFormat::Json, "{\"a\":\"@\"}"),
        (BodyFormat::Form, "a=@"),
        (BodyFormat::Text, "@"),
    ] {
        let masked = mask_with(&profile, format, &body.replace('@', CANARY));
        let marks = masked.matches(['<', '>', '"', '\'', '&', '$']).count();
        assert_eq!(marks, body.matches(['<', '>', '"', '\'', '&', '$']).count(), "{masked}");
    }
}
