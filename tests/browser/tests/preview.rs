//! What a learner serves, opened from the page: by menu, picture, details and terminal, and by nobody else.

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};
use serde_json::json;

#[tokio::test]
async fn an_ingress_host_opens_from_the_page() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.click("button[aria-label='Start: Ingress: one door for many websites']").await?;
    browser.wait_text("header", "3 nodes Ready").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.click("header button[aria-label='Open in the browser']").await?;
    browser.wait_text("header [role=menu]", "Nothing to open yet").await?;
    browser.type_into_terminal("kubectl create deployment shop --image=drydock/demo:v1\n").await?;
    browser.type_into_terminal("kubectl expose deployment shop --port=80 --target-port=8080 --type=NodePort\n").await?;
    browser.type_into_terminal("kubectl create ingress shop --rule='shop.example.com/*=shop:80'\n").await?;
    browser.type_into_terminal("kubectl rollout status deployment shop\n").await?;
    browser.wait_text(".xterm-rows", "successfully rolled out").await?;
    browser.wait_count(".diagram .opens", 2).await?;
    browser.click("header button[aria-label='Open in the browser']").await?;
    browser.wait_text("header [role=menu]", "http://shop.example.com/").await?;
    browser.is_accessible("the menu of what opens").await?;
    browser.screenshot("previews").await?;

    browser.click("header a[href*='shop-example-com--ingress']").await?;
    browser.follow_to_new_tab().await?;
    browser.wait_text("body", "demo v1 from shop-").await?;
    let address = browser.value("return location.href").await?;
    let address = address.as_str().unwrap_or_default().to_owned();
    assert!(address.contains("://shop-example-com--ingress--s-") && address.contains(".localhost:"), "{address}");
    assert_eq!(browser.value("return document.cookie").await?, json!(""));
    browser.close_tab().await?;

    // The mark in the picture, and the details.
    browser.click(".diagram .opens").await?;
    browser.follow_to_new_tab().await?;
    browser.wait_text("body", "demo v1 from shop-").await?;
    browser.close_tab().await?;
    browser.click("[id='Ingress/default/shop'], .diagram [aria-label^='Ingress shop']").await?;
    browser.wait_for("aside a[href*='shop-example-com--ingress']").await?;
    browser.is_accessible("the details of an Ingress").await?;
    browser.no_errors().await?;

    // The address alone opens nothing.
    let stranger = Browser::open().await?;
    stranger.visit(&address).await?;
    stranger.wait_text("body", "This preview is only for those who take part in its session").await?;
    stranger.close().await?;
    browser.close().await
}
