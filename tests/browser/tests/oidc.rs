//! Signing in with OpenID Connect from its button, against a genuine provider.

use drydock_tests_browser::Browser;
use drydock_tests_harness::oidc::Provider;
use drydock_tests_harness::{Product, Server};
use serde_json::json;

/// The server's public name, which only the test's browsers resolve.
const HOST: &str = "lab.example";
const PUBLIC: &str = "http://lab.example";
const BUTTON: &str = "main a[href='/auth/oidc/start']";

#[tokio::test]
async fn the_button_leads_through_the_provider_to_the_classes() -> anyhow::Result<()> {
    let product = Product::new();
    let provider = Provider::start(&product, PUBLIC);
    let flags = provider.options(PUBLIC);
    let server = Server::start(&product, &flags.iter().map(String::as_str).collect::<Vec<_>>());

    // Whoever the provider, or this server, does not let in reads why, in their language.
    let ben = Browser::open_where(HOST, server.address()).await?;
    ben.visit(&format!("{PUBLIC}/staff")).await?;
    ben.wait_text(BUTTON, "School login").await?;
    ben.is_accessible("signing in with OpenID Connect").await?;
    provider.be(&json!({"sub": "ben", "name": "Ben", "groups": ["teachers"], "refuses": true}));
    ben.click(BUTTON).await?;
    ben.wait_text("main [role=alert]", "cancelled or refused").await?;
    ben.look("sign-in-refused").await?;
    ben.choose_language("zh-TW").await?;
    ben.wait_text("main [role=alert]", "被取消或拒絕").await?;
    provider.be(&json!({"sub": "ben", "name": "Ben", "groups": ["pupils"]}));
    ben.click(BUTTON).await?;
    ben.wait_text("main [role=alert]", "群組都沒有使用這些頁面的權限").await?;
    ben.choose_language("zh-CN").await?;
    ben.wait_text("main [role=alert]", "用户组都没有使用这些页面的权限").await?;
    ben.visit(&format!("{PUBLIC}/auth/oidc/callback?state=stolen&code=stolen")).await?;
    ben.wait_text("main [role=alert]", "另一个浏览器").await?;
    ben.visit(&format!("{PUBLIC}/staff/server")).await?;
    ben.wait_for(BUTTON).await?;
    ben.close().await?;

    // A teacher is in, holds classes, goes and comes back.
    let anna = Browser::open_where(HOST, server.address()).await?;
    provider.be(&json!({"sub": "anna", "name": "安娜 <b>", "groups": ["teachers"]}));
    anna.visit(&format!("{PUBLIC}/staff")).await?;
    anna.click(BUTTON).await?;
    anna.wait_text("header", "安娜 <b>").await?;
    anna.wait_text("main", "No class yet").await?;
    anna.is_accessible("classes of a teacher").await?;
    anna.screenshot("oidc").await?;
    anna.click("header a[href='/staff/account']").await?;
    anna.wait_text("main", "You sign in with your organisation's account").await?;
    anna.click_button("Sign out").await?;
    anna.click(BUTTON).await?;
    anna.wait_text("main", "No class yet").await?;
    anna.no_errors().await?;

    // Without the provider the page says so.
    drop(provider);
    anna.click("header a[href='/staff/account']").await?;
    anna.click_button("Sign out").await?;
    anna.click(BUTTON).await?;
    anna.wait_text("main [role=alert]", "does not answer as it should").await?;
    anna.close().await
}
