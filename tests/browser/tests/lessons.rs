//! Whole lessons, as learners go through them: three at once on one server, each with a cluster and a window of their own.

use drydock_tests_browser::{Browser, Key};
use drydock_tests_harness::{Product, Server};
use serde_json::json;

#[tokio::test]
async fn three_learners_go_through_their_lessons_side_by_side() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let (services, pods, challenge) = tokio::join!(services(&server), pods(&server), challenge(&server));
    let ends = [("Services", services), ("Pods", pods), ("the challenge", challenge)];
    let failed: Vec<_> = ends.into_iter().filter_map(|(name, end)| Some(format!("{name}: {:?}", end.err()?))).collect();
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

/// The catalogue in a new window.
async fn catalogue(server: &Server) -> anyhow::Result<Browser> {
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    Ok(browser)
}

/// *Services* in English, all of it: by the Run buttons, the editor and the keyboard, with a reload in every second step.
async fn services(server: &Server) -> anyhow::Result<()> {
    const NEXT: &str = "Next step";
    const CHECK: &str = "Check answer";
    let browser = catalogue(server).await?;
    browser.click("button[aria-label='Start: Services: one address for many Pods']").await?;
    browser.wait_text("h1", "Addresses that do not last").await?;
    browser.wait_text("header", "3 nodes Ready").await?;

    browser.run_block("kubectl apply -f web.yaml", "successfully rolled out").await?;
    browser.wait_count("g.pod.good[aria-label*='web-']", 3).await?;
    browser.all_green(1).await?;
    browser.run_block("kubectl delete $(kubectl get pods", "deleted").await?;
    browser.all_green(2).await?;
    browser.wait_text("main", "The new Pod has another name and another IP").await?;

    browser.next_step(NEXT, "Labels and selectors").await?;
    browser.run_block("kubectl get pods --show-labels", "app=web").await?;
    browser.run_block("kubectl label $(kubectl get pods", "labeled").await?;
    browser.all_green(1).await?;
    browser.run_block("kubectl get pods -l app=web,release=canary", "1/1").await?;
    browser.answer(&["a"], CHECK).await?;
    browser.wait_text("main", "Not quite").await?;
    browser.reload().await?;
    browser.all_green(1).await?;
    browser.answer(&["a", "b"], CHECK).await?;
    browser.wait_text(".quiz-right", "A selector asks only for what it names").await?;

    browser.next_step(NEXT, "An address that stays").await?;
    browser.click_button("Open in editor").await?;
    browser.wait_text(".cm-content", "targetPort: 8080").await?;
    browser.click_button("Apply").await?;
    browser.wait_text("main", "service/web created").await?;
    browser.all_green(2).await?;
    browser.picture_shows("Service web").await?;
    browser.wait_text("main", "The EndpointSlice controller keeps that list").await?;
    browser.click("#tab-workstation").await?;
    browser.run_block("kubectl get endpointslices", "8080").await?;

    browser.next_step(NEXT, "A name instead of a number").await?;
    browser.run_block("kubectl run client", "web.default.svc.cluster.local").await?;
    browser.all_green(1).await?;
    browser.run_block("kubectl exec client -- sh -c", "demo v1").await?;
    browser.all_green(2).await?;
    browser.answer(&["b", "c"], CHECK).await?;
    browser.wait_text(".quiz-right", "A short name is looked up").await?;
    browser.reload().await?;
    browser.wait_text(".quiz-right", "A short name is looked up").await?;

    browser.next_step(NEXT, "Only those who are ready").await?;
    browser.run_block("/fail/readyz", "you@drydock").await?;
    browser.wait_text(".live-hint", "is running but not ready").await?;
    browser.all_green(1).await?;
    browser.run_block("kubectl get pods -l app=web -o wide", "Endpoints:").await?;
    // What the block's first line showed may have scrolled away.
    browser.run_typed("kubectl get pods -l app=web", "0/1").await?;
    browser.run_block("/heal/readyz", "NAME").await?;
    browser.all_green(2).await?;
    // A reload in the middle of a watch: it goes on where it was, and listens to Ctrl-C.
    browser.reload().await?;
    browser.wait_text(".xterm-rows", "web-").await?;
    browser.type_into_terminal("").await?;
    browser.chord(&[Key::Control], "c").await?;
    browser.all_green(2).await?;

    browser.next_step(NEXT, "A door to the outside").await?;
    browser.run_block("kubectl apply -f web-nodeport.yaml", "80:30080/TCP").await?;
    browser.run_block("curl -s http://worker-1:30080", "demo v1").await?;
    browser.all_green(2).await?;
    browser.wait_text("main", "You finished this lesson").await?;
    browser.wait_count("[aria-label='Steps'] .bg-good", 6).await?;
    browser.reload().await?;
    browser.wait_text("main", "You finished this lesson").await?;
    browser.no_errors().await?;

    browser.click_button("End").await?;
    browser.click("dialog[open] button:last-of-type").await?;
    browser.wait_text("main", "This session has ended").await?;
    browser.close().await
}

/// *Pods* in 繁體中文, all of it; every word of the page is in the reader's language.
async fn pods(server: &Server) -> anyhow::Result<()> {
    const NEXT: &str = "下一步";
    const CHECK: &str = "檢查答案";
    let browser = catalogue(server).await?;
    browser.choose_language("zh-TW").await?;
    browser.click("button[aria-label='開始：Pod']").await?;
    browser.wait_text("h1", "兩個容器，一個 Pod").await?;
    browser.wait_text("header", "3 個節點就緒").await?;

    browser.run_block("kubectl apply -f pair.yaml", "2/2").await?;
    browser.all_green(1).await?;
    browser.next_step(NEXT, "localhost 上的鄰居").await?;
    browser.run_block("-- curl -s http://localhost:8080", "demo v1").await?;
    browser.run_block("kubectl logs pair -c web", "GET / from 127.0.0.1").await?;
    browser.all_green(1).await?;
    browser.answer(&["a"], CHECK).await?;
    browser.wait_text("main", "不太對").await?;
    browser.answer(&["b"], CHECK).await?;
    browser.wait_text(".quiz-right", "它們共用一個網路").await?;

    browser.next_step(NEXT, "兩人共用的資料夾").await?;
    browser.run_block("echo written by helper", "\nwritten by helper").await?;
    browser.all_green(1).await?;
    browser.next_step(NEXT, "容器死了").await?;
    browser.run_block("http://localhost:8080/exit?code=1", "52").await?;
    browser.all_green(2).await?;
    browser.run_block("--previous", "GET / from 127.0.0.1").await?;
    browser.reload().await?;
    browser.wait_text("h1", "容器死了").await?;

    browser.next_step(NEXT, "Pod 死了").await?;
    browser.run_block("kubectl delete pod pair", "condition met").await?;
    browser.all_green(2).await?;
    browser.answer(&["c"], CHECK).await?;
    browser.wait_text(".quiz-right", "Pod 被取代時就會變").await?;

    browser.next_step(NEXT, "要不要再來一次？").await?;
    browser.run_block("kubectl run once", "pod/once created").await?;
    browser.run_block("kubectl run again", "pod/again created").await?;
    browser.all_green(2).await?;
    browser.wait_text("main", "CrashLoopBackOff").await?;
    browser.next_step(NEXT, "先做該先做的").await?;
    browser.run_block("kubectl apply -f prepared.yaml", "Init:0/1").await?;
    browser.run_block("kubectl wait --for=condition=Ready pod/prepared", "condition met").await?;
    browser.all_green(2).await?;
    browser.wait_text("main", "你完成了這門課").await?;
    let english = "return document.querySelectorAll('article [lang=en], article[lang=en]').length";
    browser.wait_value(english, &json!(0)).await?;
    browser.no_errors().await?;
    browser.close().await
}

/// The Service that answers nothing: hints speak of this cluster until it is mended by typed commands.
async fn challenge(server: &Server) -> anyhow::Result<()> {
    let browser = catalogue(server).await?;
    browser.click("button[aria-label='Start: Challenge: the Service that answers nothing']").await?;
    browser.wait_text("h1", "Nobody at home").await?;
    browser.wait_count("g.pod.good[aria-label*='shop-']", 3).await?;
    browser.run_block("curl -m 3 http://worker-1:30100/", "Failed to connect").await?;
    browser.wait_text(".live-hint", "tier=front-end").await?;
    browser.click_button("Stuck? Show a hint").await?;
    browser.wait_text("main", "Compare it, line by line").await?;
    // A selector that is too wide is told from one that matches nothing.
    browser.run_typed("kubectl set selector service shop app=shop", "selector updated").await?;
    browser.wait_text(".live-hint", "The selector is too wide").await?;
    browser.reload().await?;
    browser.wait_text(".live-hint", "The selector is too wide").await?;
    browser.run_typed("kubectl set selector service shop app=shop,tier=frontend", "selector updated").await?;
    browser.all_green(2).await?;
    browser.wait_gone(".live-hint").await?;

    browser.next_step("Next step", "At home, but not opening").await?;
    browser.wait_text(".live-hint", "on port 80").await?;
    let patch = r#"kubectl patch service shop --type json -p '[{"op":"replace","path":"/spec/ports/0/targetPort","value":8080}]'"#;
    browser.run_typed(patch, "service/shop patched").await?;
    browser.all_green(1).await?;
    browser.run_block("curl -m 3 http://worker-1:30100/", "demo v1").await?;
    browser.answer(&["b"], "Check answer").await?;
    browser.wait_text(".quiz-right", "Only targetPort has to suit the container").await?;
    browser.wait_text("main", "You finished this lesson").await?;
    browser.no_errors().await?;
    browser.close().await
}
