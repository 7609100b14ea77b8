//! Routes from configuration.

use super::*;
use OperationClass as C;

fn routes(rows: &[(&str, &str, OperationClass)]) -> Vec<OwnRoute> {
    let route = |(method, path, class): &(&str, &str, _)| {
        OwnRoute::new(Some(*method).filter(|method| *method != "*"), path, *class).expect(path)
    };
    rows.iter().map(route).collect()
}

fn house() -> Vec<OwnRoute> {
    routes(&[
        ("*", "/admin/**", C::AdminConfig),
        ("GET", "/files/public", C::FilesRead),
        ("GET", "/files/**", C::SecretRead),
        ("POST", "/models/*:run", C::ModelInfer),
        ("POST", "/models/*", C::ModelLoad),
        ("DELETE", "/jobs/*", C::FilesDelete),
        ("GET", "/jobs", C::ModelsList),
        ("GET", "/jobs/", C::ModelsList),
        ("GET", "/", C::MetricsRead),
        ("POST", "/export", C::AdminConfig),
        ("GET", "/search/*", C::HttpRead),
    ])
}

fn call(
    own: &[OwnRoute],
    method: &str,
    target: &str,
    (content_type, body): (&str, &str),
) -> Result<Operation, UnderstandError> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let api = Api { kind: ConnectionKind::Http, own };
    let headers = headers(&[("content-type", content_type)]);
    understand(api, method, path, query, &headers, Some(body.as_bytes()))
}

fn classed(own: &[OwnRoute], method: &str, target: &str) -> Result<OperationClass, UnderstandError> {
    call(own, method, target, ("text/plain", "")).map(|operation| operation.class)
}

#[test]
fn the_first_route_that_fits_holds_and_the_method_beside() {
    let own = house();
    for (method, target, wanted) in [
        ("GET", "/admin/users", C::AdminConfig),
        ("POST", "/admin/users/7/", C::AdminConfig),
        ("OPTIONS", "/admin/a", C::AdminConfig),
        ("GET", "/admin", C::HttpRead),
        ("GET", "/files/public", C::FilesRead),
        ("HEAD", "/files/public", C::FilesRead),
        ("GET", "/files/other", C::SecretRead),
        ("GET", "/files/a/b", C::SecretRead),
        ("POST", "/files/public", C::HttpWrite),
        ("POST", "/models/small:run", C::ModelInfer),
        ("POST", "/models/small", C::ModelLoad),
        ("DELETE", "/jobs/7", C::FilesDelete),
        ("GET", "/jobs/7", C::HttpRead),
        ("GET", "/jobs", C::ModelsList),
        ("GET", "/jobs/", C::ModelsList),
        ("GET", "/", C::MetricsRead),
        ("PUT", "/", C::HttpWrite),
        // Another spelling of what has the same class is nothing to refuse.
        ("GET", "/Search/x", C::HttpRead),
        ("GET", "/search/%C3%A9", C::HttpRead),
        ("GET", "/elsewhere/Admin", C::HttpRead),
        ("GET", "/administrators", C::HttpRead),
        ("GET", "/jobs/7?method=DELETE", C::HttpRead),
    ] {
        assert_eq!(classed(&own, method, target), Ok(wanted), "{method} {target}");
    }
    let named = call(&own, "POST", "/models/small:run", ("application/json", "{}")).expect("call");
    assert_eq!(named.resource.model, "small");
    let named = call(&own, "GET", "/files/a/b", ("text/plain", "")).expect("call");
    assert_eq!(named.resource.file, "a/b");
}

#[test]
fn other_spellings_of_a_route_are_refused() {
    let own = house();
    for (method, target) in [
        ("GET", "/Admin/users"),
        ("GET", "/ADMIN/users/"),
        ("GET", "/admin;v=1/users"),
        ("GET", "/admin%3Bv/users"),
        ("GET", "/admin%3Fx/users"),
        ("GET", "/admin%20/users"),
        ("GET", "/admin./users"),
        ("GET", "/%2561dmin/users"),
        ("GET", "/%252561dmin/users"),
        ("GET", "/admin%252Fusers"),
        ("GET", "/x%252F..%252Fadmin%252Fusers"),
        ("GET", "/;x/admin/users"),
        ("GET", "/admin%255Cusers"),
        ("GET", "/files/PUBLIC"),
        ("GET", "/files/public/"),
        ("GET", "/FILES/public"),
        ("POST", "/models/small%3Arun%20"),
        ("POST", "/models/small:RUN"),
        ("POST", "/export/"),
        ("POST", "/export;"),
        ("POST", "/Export"),
        ("DELETE", "/jobs/7/"),
        ("GET", "/jobs;x"),
    ] {
        let refused = classed(&own, method, target).expect_err(&format!("{method} {target}"));
        assert_eq!(refused, UnderstandError::Route, "{method} {target}");
    }
    assert_eq!(classed(&own, "GET", "/%2525252561dmin/users"), Err(UnderstandError::Path));
    assert_eq!(classed(&own, "GET", "/%61dmin/users"), Err(UnderstandError::Path));
    assert_eq!(classed(&own, "GET", "//admin/users"), Err(UnderstandError::Path));
}

#[test]
fn a_field_does_not_change_the_method() {
    let own = house();
    for (target, content_type, body) in [
        ("/jobs/7?_method=DELETE", "text/plain", ""),
        ("/jobs/7?%5Fmethod=DELETE", "text/plain", ""),
        ("/jobs/7?a=1;_METHOD=DELETE", "text/plain", ""),
        ("/jobs/7", "application/x-www-form-urlencoded", "a=1&_method=delete"),
        ("/jobs/7", "application/json", r#"{"a":1,"\u005fmethod":"DELETE"}"#),
    ] {
        let refused = call(&own, "POST", target, (content_type, body)).map(|operation| operation.class);
        assert_eq!(refused, Err(UnderstandError::Method), "{target} {body}");
        // Without routes, every change is a write.
        assert!(call(&[], "POST", target, (content_type, body)).is_ok(), "{target} {body}");
    }
    assert_eq!(classed(&[], "GET", "/jobs/7?%5Fmethod=DELETE"), Ok(C::HttpWrite));
    for body in [r#"{"fields":{"_method":"x"}}"#, r#"["_method"]"#] {
        assert!(call(&own, "POST", "/jobs/7", ("application/json", body)).is_ok(), "{body}");
    }
}

#[test]
fn weights_are_exported_whatever_reading_is_called_and_never_what_is_blocked() {
    let own = house();
    assert_eq!(classed(&own, "GET", "/search/model.gguf"), Ok(C::ModelExport));
    assert_eq!(classed(&own, "GET", "/elsewhere/model.gguf"), Ok(C::ModelExport));
    assert_eq!(classed(&own, "GET", "/jobs?file=a.safetensors"), Ok(C::ModelExport));
    assert_eq!(classed(&own, "GET", "/admin/model.gguf"), Ok(C::AdminConfig));
    assert_eq!(classed(&own, "GET", "/files/model.gguf"), Ok(C::SecretRead));
    assert_eq!(classed(&own, "DELETE", "/jobs/model.gguf"), Ok(C::FilesDelete));
}

#[test]
fn paths_that_no_call_has_are_refused() {
    for (path, why) in [
        ("", OwnRouteError::Relative),
        ("jobs", OwnRouteError::Relative),
        ("https://host/jobs", OwnRouteError::Relative),
        ("//jobs", OwnRouteError::Segment),
        ("/jobs//x", OwnRouteError::Segment),
        ("/jobs/../x", OwnRouteError::Segment),
        ("/jobs/.", OwnRouteError::Segment),
        ("/jobs./x", OwnRouteError::Segment),
        ("/**/jobs", OwnRouteError::Rest),
        ("/**/", OwnRouteError::Rest),
        ("/job*", OwnRouteError::Star),
        ("/*jobs", OwnRouteError::Star),
        ("/*:run*", OwnRouteError::Star),
        ("/***", OwnRouteError::Star),
        ("/jobs?x=1", OwnRouteError::Character),
        ("/jobs#x", OwnRouteError::Character),
        ("/jobs;x", OwnRouteError::Character),
        ("/a%20b", OwnRouteError::Character),
        ("/a b", OwnRouteError::Character),
        ("/\u{e9}", OwnRouteError::Character),
        ("/a\\b", OwnRouteError::Character),
        ("/{id}", OwnRouteError::Character),
    ] {
        assert_eq!(OwnRoute::new(None, path, C::HttpRead), Err(why), "{path}");
    }
    for path in ["/", "/*", "/**", "/a/*:run", "/v1/a-b_c~d/**", "/.well-known/x", "/a/", "/@x/$y"] {
        assert!(OwnRoute::new(None, path, C::HttpRead).is_ok(), "{path}");
    }
}

#[test]
fn a_route_behind_one_that_covers_it_is_known() {
    let pair = |first: (&str, &str), second: (&str, &str)| {
        let own = routes(&[(first.0, first.1, C::HttpRead), (second.0, second.1, C::HttpWrite)]);
        own[0].covers(&own[1])
    };
    assert!(pair(("GET", "/a"), ("GET", "/a")));
    assert!(pair(("*", "/a/*"), ("GET", "/a/b")));
    assert!(pair(("*", "/**"), ("GET", "/a/*/c")));
    assert!(pair(("*", "/**"), ("*", "/a/**")));
    assert!(pair(("GET", "/a/*"), ("GET", "/a/*:run")));
    assert!(pair(("GET", "/a"), ("GET", "/A")));
    assert!(pair(("GET", "/a"), ("GET", "/a/")));
    assert!(!pair(("GET", "/a"), ("*", "/a")));
    assert!(!pair(("GET", "/a"), ("POST", "/a")));
    assert!(!pair(("*", "/a/*"), ("*", "/a/**")));
    assert!(!pair(("*", "/a/b"), ("*", "/a/*")));
    assert!(!pair(("*", "/a/*:run"), ("*", "/a/*")));
    let same = routes(&[("GET", "/a", C::HttpRead), ("GET", "/a/", C::HttpRead)]);
    assert!(!same[0].covers(&same[1]));
}

/// How a spelling is made of a path: the letters that change their case, and what is done to one segment.
fn spelled(path: &str, upper: u64, at: usize, how: usize) -> String {
    let letters = path.chars().enumerate();
    let cased = letters.map(|(i, c)| if upper >> (i % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c });
    let mut segments: Vec<String> = cased.collect::<String>().split('/').skip(1).map(str::to_owned).collect();
    let at = at % segments.len();
    let segment = segments[at].clone();
    let escaped = |percent: &str| {
        let bytes: Vec<String> = segment.bytes().map(|byte| format!("{percent}{byte:02x}")).collect();
        bytes.concat()
    };
    segments[at] = match how % 12 {
        0 => segment,
        1 => format!("{segment};v=1"),
        2 => format!("{segment}%3Bv"),
        3 => format!("{segment}%20"),
        4 => format!("{segment}."),
        5 => escaped("%"),
        6 => escaped("%25"),
        7 => escaped("%2525"),
        8 => format!("{segment}%3F"),
        9 => format!(";/{segment}"),
        10 => format!(".%252F{segment}"),
        _ => format!("x%252f..%252f{segment}"),
    };
    format!("/{}", segments.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_spelling_of_a_route_is_anything_else(
        route in prop::sample::select(vec!["/admin/users", "/admin/a/b", "/export", "/admin/x/"]),
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        (upper, at, how) in (any::<u64>(), 0usize..4, 0usize..12),
        slash in any::<bool>(),
        catch_all in any::<bool>(),
    ) {
        let mut own = routes(&[("*", "/admin/**", C::AdminConfig), ("*", "/export", C::AdminConfig)]);
        if catch_all {
            own.extend(routes(&[("*", "/**", C::HttpRead)]));
        }
        let path = format!("{}{}", spelled(route, upper, at, how), if slash { "/" } else { "" });
        let class = classed(&own, method, &path);
        prop_assert!(!matches!(class, Ok(class) if class != C::AdminConfig), "{method} {path}: {class:?}");
    }

    #[test]
    fn what_begins_like_a_route_is_that_route_or_refused(
        rest in "[a-z]{1,3}[a-zA-Z/.;:%25]{0,20}",
        begin in "/[aA][dD]min[;. ]{0,2}/",
        method in "(GET|POST)",
    ) {
        let class = classed(&house(), &method, &format!("{begin}{rest}").replace(' ', "%20"));
        prop_assert!(!matches!(class, Ok(class) if class != C::AdminConfig), "{begin}{rest}: {class:?}");
    }
}
