//! What the driver can do beyond WebDriver's own words: logs, and Chromium's DevTools.

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::Browser;

impl Browser {
    /// Asks the driver something about this window.
    pub(super) async fn ask_driver(&self, what: &str, question: &Value) -> anyhow::Result<Value> {
        let id = self.client.session_id().await?.context("the window has a session")?;
        // The driver keeps connections open whatever it is asked, so its answer has to be read as HTTP.
        let request = hyper::Request::post(format!("http://127.0.0.1:{}/session/{id}/{what}", self.port))
            .body(Full::new(Bytes::from(serde_json::to_vec(question)?)))?;
        let answer = HttpClient::builder(TokioExecutor::new()).build_http().request(request).await?;
        let mut answer: Value = serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
        anyhow::ensure!(answer["value"]["error"].is_null(), "{what}: {}", answer["value"]);
        Ok(answer["value"].take())
    }

    /// A command of the DevTools protocol, such as `Input.imeSetComposition`.
    pub async fn devtools(&self, command: &str, parameters: &Value) -> anyhow::Result<Value> {
        self.ask_driver("goog/cdp/execute", &json!({"cmd": command, "params": parameters})).await
    }
}
