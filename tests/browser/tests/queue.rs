//! Learners who have to wait, and one who comes back to a cluster that sleeps.

use std::time::{Duration, Instant};

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};
use serde_json::json;

#[tokio::test]
async fn a_second_learner_waits_and_gets_in_when_the_first_ends() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &["--max-sessions", "1"]);
    let address = format!("http://{}/", server.address());
    let (first, second) = (Browser::open().await?, Browser::open().await?);
    first.visit(&address).await?;
    first.click("button[aria-label='Start: Your first Pod']").await?;
    first.wait_text("header", "3 nodes Ready").await?;

    second.visit(&address).await?;
    second.click("button[aria-label='Start: Your first Pod']").await?;
    second.wait_text("main", "Waiting for a free place").await?;
    second.wait_text("main", "You are next.").await?;
    second.wait_text("main", "All places of this server are taken.").await?;
    second.wait_text("main", "About 60 minutes.").await?;
    second.is_accessible("the queue").await?;
    second.screenshot("queue").await?;
    // The place is the session's, not the page's.
    second.reload().await?;
    second.wait_text("main", "You are next.").await?;

    first.click_button("End").await?;
    first.click("dialog[open] button:last-of-type").await?;
    first.wait_text("main", "You ended this session.").await?;
    second.wait_text("header", "3 nodes Ready").await?;
    second.wait_text(".xterm-rows", "you@drydock").await?;
    second.no_errors().await?;

    // And who gives up waiting is told so.
    first.visit(&address).await?;
    first.click("button[aria-label='Start: Your first Pod']").await?;
    first.wait_text("main", "You are next.").await?;
    first.click_button("Leave the queue").await?;
    first.wait_text("main", "This session has ended").await?;
    first.close().await?;
    second.close().await
}

#[tokio::test]
async fn a_cluster_that_sleeps_is_awake_when_its_page_is_opened() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &["--suspend-minutes", "1"]);
    let address = format!("http://{}", server.address());
    let browser = Browser::open().await?;
    browser.visit(&format!("{address}/")).await?;
    browser.click("button[aria-label='Start: Your first Pod']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.type_into_terminal("kubectl run hello --image=drydock/demo:v1\n").await?;
    browser.wait_text(".xterm-rows", "pod/hello created").await?;
    browser.picture_shows("hello").await?;
    let page = browser.value("return location.pathname").await?;
    let page = page.as_str().unwrap_or_default().to_owned();

    browser.visit(&format!("{address}/nowhere")).await?;
    let asleep = format!(
        "const ask = new XMLHttpRequest(); ask.open('GET', '/api/v1{page}', false); ask.send(); return JSON.parse(ask.responseText).state"
    );
    let end = Instant::now() + Duration::from_secs(240);
    loop {
        let seen = browser.value(&asleep).await?;
        if seen == json!("Suspended") {
            break;
        }
        assert!(Instant::now() < end, "it does not fall asleep: {seen}");
        tokio::task::yield_now().await;
    }
    browser.visit(&format!("{address}{page}")).await?;
    browser.wait_text("header", "3 nodes Ready").await?;
    browser.wait_text(".xterm-rows", "pod/hello created").await?;
    browser.picture_shows("hello").await?;
    browser.type_into_terminal("clear; kubectl get nodes --no-headers | grep -c ' Ready '\n").await?;
    browser.wait_text(".xterm-rows", "3").await?;
    browser.no_errors().await?;
    browser.close().await
}
