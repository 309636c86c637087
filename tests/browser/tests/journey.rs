//! A learner's way through headless Chromium, on the real server with a real cluster.

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};

#[tokio::test]
async fn a_learner_starts_types_sees_reloads_and_ends() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;

    browser.click("button[aria-label='Start: Your first Pod']").await?;
    browser.wait_text("header", "3 nodes Ready").await?;
    browser.wait_text("main", "Meet your cluster").await?;
    browser.click("input[type=radio][value=master]").await?;
    browser.click_button("Check answer").await?;
    browser.wait_text(".quiz-right", "The NODE column says it").await?;
    browser.picture_shows("kube-apiserver").await?;

    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.type_into_terminal("kubectl get nodes\n").await?;
    browser.wait_text(".xterm-rows", "worker-2").await?;
    browser.click_button("Next step").await?;
    browser.wait_text("main", "Run a Pod").await?;
    browser.type_into_terminal("kubectl run hello --image=drydock/demo:v1\n").await?;
    browser.wait_text(".xterm-rows", "pod/hello created").await?;
    browser.picture_shows("hello").await?;
    browser.wait_count("li.check-met", 2).await?;
    // What the API server's audit log tells of it.
    browser.wait_text("body", "run pod hello").await?;
    browser.screenshot("session").await?;

    browser.reload().await?;
    browser.wait_text("header", "3 nodes Ready").await?;
    browser.wait_text(".xterm-rows", "pod/hello created").await?;
    browser.picture_shows("hello").await?;
    browser.type_into_terminal("kubectl delete pod hello --now\n").await?;
    browser.picture_hides("hello").await?;
    browser.no_errors().await?;

    browser.click_button("End").await?;
    browser.click("dialog[open] button:last-of-type").await?;
    browser.wait_text("main", "This session has ended").await?;
    browser.close().await
}

#[tokio::test]
async fn the_page_speaks_the_readers_language_and_says_what_is_wrong() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/sessions/00000000000000000000000000000000", server.address())).await?;
    browser.wait_text("main", "This session does not exist").await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.wait_text("main", "Your first Pod").await?;
    browser.choose_language("zh-TW").await?;
    browser.wait_text("main", "你的第一個 Pod").await?;
    browser.choose_language("zh-CN").await?;
    browser.wait_text("main", "你的第一个 Pod").await?;
    browser.screenshot("catalogue").await?;
    browser.close().await
}
