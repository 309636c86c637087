//! The API's description against the code.

#[test]
fn every_route_is_described_and_nothing_else() {
    let document: serde_json::Value = serde_json::from_str(super::openapi::DOCUMENT).expect("JSON");
    let described: std::collections::BTreeSet<_> =
        document["paths"].as_object().expect("paths").keys().cloned().collect();
    let source = include_str!("../routes.rs");
    let routed = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".route(\"/"))
        .filter_map(|rest| rest.split('"').next());
    let routed: std::collections::BTreeSet<_> = routed
        .filter(|path| !["healthz", "metrics"].contains(path))
        .map(|path| format!("/api/v1/{}", path.replace("{*", "{")))
        .collect();
    assert_eq!(described, routed);
}
