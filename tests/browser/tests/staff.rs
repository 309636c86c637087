//! The way in for instructors and operators: the one-time link, the account, signing out and in.

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};

const PASSWORD: &str = "a ship in a dry dock";

#[tokio::test]
async fn the_consoles_link_makes_the_first_account_which_signs_out_and_in() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    let link = format!("http://{}/staff/setup?token={}", server.address(), server.setup_token());

    // Nobody is signed in: every page of the staff leads to the way in, and that is for those who have an account.
    browser.visit(&format!("http://{}/staff/server", server.address())).await?;
    browser.wait_text("main", "This server has no account yet").await?;
    browser.is_accessible("signing in").await?;

    browser.visit(&link).await?;
    browser.wait_text("main", "Make your account").await?;
    browser.fill("#name", "Grace").await?;
    browser.fill("#password", "too short").await?;
    browser.fill("#again", "too short").await?;
    browser.click_button("Make the account").await?;
    browser.wait_for("#password[aria-invalid=true]").await?;
    browser.is_accessible("the first account").await?;
    browser.fill("#password", PASSWORD).await?;
    browser.fill("#again", PASSWORD).await?;
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
    browser.fill("#name", "Mallory").await?;
    browser.fill("#password", PASSWORD).await?;
    browser.fill("#again", PASSWORD).await?;
    browser.click_button("Make the account").await?;
    browser.wait_text("main", "This link has been used or is too old").await?;

    browser.click("header a[href='/staff/account']").await?;
    browser.click_button("Sign out").await?;
    browser.fill("#name", "Grace").await?;
    browser.fill("#password", "not her password").await?;
    browser.click_button("Sign in").await?;
    browser.wait_text("main", "Name or password is wrong").await?;
    browser.fill("#password", PASSWORD).await?;
    browser.click_button("Sign in").await?;
    browser.wait_text("header", "Grace").await?;
    browser.close().await
}
