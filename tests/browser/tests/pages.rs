//! Each page as everybody gets it: for those who listen a stored accessibility tree, axe in the light and in the dark.

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};

#[tokio::test]
async fn each_page_reads_as_it_should_in_the_light_and_in_the_dark() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    let home = format!("http://{}/", server.address());
    browser.visit(&home).await?;
    browser.wait_text("main", "Your first Pod").await?;
    browser.inspect("catalogue").await?;
    browser.choose_language("zh-TW").await?;
    browser.wait_text("main", "你的第一個 Pod").await?;
    browser.inspect("catalogue-zh-TW").await?;
    browser.choose_language("en").await?;

    browser.click("button[aria-label='Start: Your first Pod']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.wait_text("main", "Meet your cluster").await?;
    figures(&browser).await?;
    browser.inspect("session").await?;
    browser.choose_language("zh-TW").await?;
    browser.wait_text("h1", "認識你的叢集").await?;
    browser.inspect("session-zh-TW").await?;
    browser.choose_language("en").await?;
    browser.click("button[aria-label='Files']").await?;
    browser.wait_text("dialog[open]", "There are no files yet").await?;
    browser.inspect("files").await?;
    browser.press("Escape").await?;
    browser.wait_gone("dialog[open]").await?;
    browser.click("g[aria-label^='etcd']").await?;
    browser.wait_text("aside[aria-label='Details']", "etcd").await?;
    browser.inspect("details").await?;
    browser.click_button("End").await?;
    browser.click("dialog[open] button:last-of-type").await?;
    browser.wait_text("main", "This session has ended").await?;
    browser.inspect("ended").await?;

    browser.visit(&home).await?;
    browser.click("button[aria-label='Start: Free playground']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.click("button[data-break]").await?;
    browser.wait_for("button[aria-label='Stop worker-1']").await?;
    figures(&browser).await?;
    browser.inspect("playground").await?;
    browser.no_errors().await?;

    browser.visit(&format!("{home}sessions/00000000000000000000000000000000")).await?;
    browser.wait_text("main", "This session does not exist").await?;
    browser.inspect("no-session").await?;
    browser.close().await
}

/// What nodes use is known a moment after they are.
async fn figures(browser: &Browser) -> anyhow::Result<()> {
    browser.wait_text("header", " MB").await?;
    browser.wait_count("g[aria-label*='cpu'][aria-label*='MB']", 3).await?;
    browser.wait_count("g[aria-label^='Pod cluster-dns'][aria-label$='Running'], g[aria-label^='Pod metrics-server'][aria-label$='Running']", 2).await
}
