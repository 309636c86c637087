//! The way in for instructors and operators: the one-time link, the account, signing out and in.

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server, wait_for};

const PASSWORD: &str = "a ship in a dry dock";

#[tokio::test]
async fn the_consoles_link_makes_the_first_account_which_signs_out_and_in() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    let token = wait_for("the link to the first account", || {
        let said = server.said();
        let found = said.split("/staff/setup?token=").nth(1).and_then(|rest| rest.split_whitespace().next());
        found.map(str::to_owned).ok_or(said)
    });
    let link = format!("http://{}/staff/setup?token={token}", server.address());

    // Nobody is signed in: every page of the staff leads to the way in, and that is for those who have an account.
    browser.visit(&format!("http://{}/staff/server", server.address())).await?;
    browser.wait_text("main", "This server has no account yet").await?;
    browser.is_accessible("signing in").await?;

    browser.visit(&link).await?;
    browser.wait_text("main", "Make your account").await?;
    fill(&browser, "#name", "Grace").await?;
    fill(&browser, "#password", "too short").await?;
    fill(&browser, "#again", "too short").await?;
    browser.click_button("Make the account").await?;
    browser.wait_for("#password[aria-invalid=true]").await?;
    browser.is_accessible("the first account").await?;
    fill(&browser, "#password", PASSWORD).await?;
    fill(&browser, "#again", PASSWORD).await?;
    browser.click_button("Make the account").await?;
    browser.wait_text("main", "No class yet").await?;
    browser.is_accessible("classes").await?;

    browser.click("header nav a[href='/staff/server']").await?;
    browser.wait_text("main", "API routes").await?;
    browser.is_accessible("the server").await?;
    browser.choose_language("zh-TW").await?;
    browser.wait_text("main", "API 路徑").await?;
    browser.choose_language("en").await?;
    browser.no_errors().await?;

    // The link is used up.
    browser.visit(&link).await?;
    fill(&browser, "#name", "Mallory").await?;
    fill(&browser, "#password", PASSWORD).await?;
    fill(&browser, "#again", PASSWORD).await?;
    browser.click_button("Make the account").await?;
    browser.wait_text("main", "This link has been used or is too old").await?;

    browser.click("header a[href='/staff/account']").await?;
    browser.click_button("Sign out").await?;
    fill(&browser, "#name", "Grace").await?;
    fill(&browser, "#password", "not her password").await?;
    browser.click_button("Sign in").await?;
    browser.wait_text("main", "Name or password is wrong").await?;
    fill(&browser, "#password", PASSWORD).await?;
    browser.click_button("Sign in").await?;
    browser.wait_text("header", "Grace").await?;
    browser.close().await
}

/// Puts a text into a field in place of what is there.
async fn fill(browser: &Browser, field: &str, text: &str) -> anyhow::Result<()> {
    browser.focus(field).await?;
    browser.value("document.activeElement.select()").await?;
    browser.keys(text).await
}
