//! What a browser could be made to send, and what does not fit the table.

use super::service;

#[test]
fn pages_of_other_sites_and_other_names_are_refused() {
    let service = service();
    let told = service.call("GET", "/health", &[("host", "evil.example")], "").problem(403);
    assert!(told.contains("evil.example"), "{told}");
    service.call("GET", "/health", &[("origin", "https://evil.example")], "").problem(403);
    service.call("GET", "/health", &[("sec-fetch-site", "cross-site")], "").problem(403);
    service.call("OPTIONS", "/health", &[("origin", "https://evil.example")], "").problem(403);
    service
        .call("GET", "/health", &[("origin", service.url()), ("sec-fetch-site", "same-origin")], "")
        .expect(200);
    service.call("GET", "/health", &[("host", "localhost")], "").expect(200);
}

#[test]
fn unknown_paths_and_methods_are_problems() {
    let service = service();
    assert!(service.get("/nothing").problem(404).contains("/nothing"));
    let answer = service.post("/health", "");
    answer.problem(405);
    assert!(answer.header("allow").unwrap().contains("GET"), "{answer:?}");
}
