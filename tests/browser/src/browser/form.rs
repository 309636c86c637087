//! Forms: fields, choices by their labels, downloads.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::Browser;

impl Browser {
    /// Puts a text into a field in place of what is there.
    ///
    /// # Errors
    /// When there is no such field.
    pub async fn fill(&self, field: &str, text: &str) -> anyhow::Result<()> {
        self.focus(field).await?;
        self.value("document.activeElement.select?.()").await?;
        self.keys(text).await
    }

    /// Sets a field that people fill from a picker, such as one for date and time.
    ///
    /// # Errors
    /// When there is no such field, or it does not take the value.
    pub async fn pick(&self, field: &str, value: &str) -> anyhow::Result<()> {
        self.wait_for(field).await?;
        let script = "const field = document.querySelector(arguments[0]);
            field.value = arguments[1];
            field.dispatchEvent(new Event('input', { bubbles: true }));
            return field.value";
        let seen = self.client.execute(script, vec![json!(field), json!(value)]).await?;
        anyhow::ensure!(seen.as_str().is_some_and(|it| !it.is_empty()), "{field} does not take {value:?}");
        Ok(())
    }

    /// Clicks the choice whose label begins with a text.
    ///
    /// # Errors
    /// When there is no such label.
    pub async fn choose(&self, label: &str) -> anyhow::Result<()> {
        let path = format!("//label[starts-with(normalize-space(.), \"{label}\")]//input");
        self.click_path(&path, &format!("choice {label:?}")).await
    }

    /// Downloads go to a folder from now on.
    ///
    /// # Errors
    /// When the browser does not agree.
    pub async fn download_to(&self, folder: &Path) -> anyhow::Result<()> {
        let behaviour = json!({"behavior": "allow", "downloadPath": folder});
        self.devtools("Browser.setDownloadBehavior", &behaviour).await.map(drop)
    }

    /// Waits for a downloaded file whose name ends so, and reads it.
    ///
    /// # Errors
    /// When none comes.
    pub async fn downloaded(&self, folder: &Path, ending: &str) -> anyhow::Result<String> {
        let file = self
            .patiently(async || {
                let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
                let files: Vec<_> = files.collect();
                let found = files.iter().find(|it| it.to_string_lossy().ends_with(ending)).cloned();
                Ok(found.ok_or_else(|| format!("nothing that ends with {ending} was downloaded: {files:?}")))
            })
            .await?;
        std::fs::read_to_string(file).context("the file can be read")
    }
}
