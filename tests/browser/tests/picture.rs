//! The picture in headless Chromium, on the real server with a real cluster: a trace played, nodes that come and break,
//! details by keyboard.

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};

/// The playground, with its shell waiting.
async fn playground(server: &Server) -> anyhow::Result<Browser> {
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.click("button[aria-label='Start: Free playground']").await?;
    browser.wait_text("header", "3 nodes Ready").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    Ok(browser)
}

#[tokio::test]
async fn an_expose_is_played_from_kubectl_to_the_proxies() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = playground(&server).await?;
    browser.type_into_terminal("kubectl create deployment web --image=drydock/demo:v1 --replicas=2\n").await?;
    browser.wait_count("g.pod.good[aria-label*='web-']", 2).await?;
    browser.type_into_terminal("kubectl expose deployment web --port=80 --target-port=8080\n").await?;
    browser.wait_text("select[data-trace]", "expose service web").await?;
    browser.picture_shows("Service web").await?;
    browser.wait_text("section ol", "kube-proxy").await?;

    browser.click("button[data-play]").await?;
    // Each act lights its component, in the order of the chain; the last one stays.
    for (act, sentence, lit) in [
        (1, "kubectl turns the command into a request", "g.lit[aria-label^='kube-apiserver']"),
        (2, "The API server finds out who asks", "g.lit[aria-label^='kube-apiserver']"),
        (3, "etcd keeps it", "g.lit[aria-label^='etcd']"),
        (4, "A controller writes down which Pods", "g.lit[aria-label^='kube-controller-manager']"),
        (5, "kube-proxy on every node watches", "g.lit[aria-label='kube-proxy, worker-1']"),
    ] {
        browser.wait_text("[data-sentence]", sentence).await?;
        browser.wait_for(lit).await?;
        browser.wait_for(&format!("li:nth-child({act}) > button[aria-current='step']")).await?;
    }
    browser.screenshot("trace").await?;
    // Back by one: the Service that the slices belong to is lit, too.
    browser.click("button[aria-label='Step back']").await?;
    browser.wait_text("[data-sentence]", "endpointslice-controller").await?;
    browser.wait_for("g.lit[aria-label^='Service web']").await?;
    browser.click("button[aria-label='Stop']").await?;
    browser.wait_text("[data-sentence]", "Press Play").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn a_node_is_added_cut_off_healed_and_removed() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = playground(&server).await?;
    browser.click("button[data-add-node]").await?;
    browser.wait_for("g.good[aria-label^='worker-3']").await?;
    browser.wait_text("header", "4 nodes Ready").await?;

    browser.click("button[data-break]").await?;
    browser.click("button[aria-label='Stop worker-3']").await?;
    browser.wait_for("g.off[aria-label^='worker-3']").await?;
    browser.wait_text("ul", "worker-3: Stop").await?;
    // What is broken is known after a reload, too.
    browser.reload().await?;
    browser.wait_text("ul", "worker-3: Stop").await?;
    browser.screenshot("faults").await?;
    browser.click("button[data-heal]").await?;
    browser.wait_for("g.good[aria-label^='worker-3']").await?;

    browser.click("button[data-break]").await?;
    browser.click("button[aria-label='Pause scheduler · master']").await?;
    browser.wait_for("g.warn[aria-label='kube-scheduler, paused']").await?;
    browser.click("button[data-heal]").await?;
    browser.wait_for("g[aria-label='kube-scheduler, running']").await?;
    browser.click("[role='dialog'] button[aria-label='Close']").await?;

    browser.click("g[aria-label^='worker-3']").await?;
    browser.click("button[data-remove-node]").await?;
    browser.click("dialog[open] button:last-of-type").await?;
    browser.picture_hides("worker-3").await?;
    browser.wait_text("header", "3 nodes Ready").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn details_are_opened_and_closed_by_keyboard() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = playground(&server).await?;
    browser.type_into_terminal("kubectl run hello --image=drydock/demo:v1\n").await?;
    browser.wait_for("g.pod.good[aria-label*='hello']").await?;

    // One thing at a time is a tab stop; arrows lead on.
    browser.wait_count("svg.diagram g[tabindex='0']", 1).await?;
    browser.focus("svg.diagram g[tabindex='0']").await?;
    browser.press("ArrowRight").await?;
    browser.wait_for("g[aria-label^='etcd']:focus").await?;
    browser.press("Enter").await?;
    browser.wait_text("aside[aria-label='Details']", "etcd").await?;
    browser.wait_for("aside[aria-label='Details']:focus").await?;
    browser.press("Escape").await?;
    browser.wait_for("g[aria-label^='etcd']:focus").await?;

    browser.focus("g.pod[aria-label*='hello']").await?;
    browser.press("Enter").await?;
    browser.wait_text("aside[aria-label='Details']", "hello").await?;
    browser.click("button[data-tab='Yaml']").await?;
    browser.wait_text("[data-yaml]", "kind: Pod").await?;
    browser.click("button[data-tab='Events']").await?;
    browser.wait_text("[data-events]", "Scheduled").await?;
    browser.click("button[data-tab='Logs']").await?;
    browser.wait_text("[data-log]", "listens on port 8080").await?;
    browser.screenshot("details").await?;
    browser.no_errors().await?;
    browser.close().await
}
