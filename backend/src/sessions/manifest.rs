//! *Apply* and *Diff*: the genuine kubectl in the workstation, and which lines its complaints are about.
//!
//! Each document of the text becomes a file of its own that begins with as many empty lines as stand before it, so the
//! lines that kubectl names are those of the text, and a file's name tells its document.

mod locate;

use drydock_engine::host::NodeHost;
use drydock_protocol::file::EDIT_LIMIT;
use drydock_protocol::{ManifestAction, ManifestOutcome, RunManifest};

use super::home::{encode, script};
use crate::error::Error;
use locate::{Document, documents, problems};

/// Documents of one text.
const MOST_DOCUMENTS: usize = 100;
/// Seconds that kubectl may take.
const PATIENCE: u32 = 30;
/// The exit code of `timeout`.
const TIMED_OUT: i32 = 124;
/// The exit code of `kubectl diff` that found differences.
const DIFFERENT: i32 = 1;

const RUN: &str = r#"folder=$1; verb=$2; shift 2; mkdir -m 700 "$folder" || exit 125; trap 'rm -rf "$folder"' EXIT; number=0; files=()
while [ $# -gt 0 ]; do number=$((number + 1))
{ head -c "$1" /dev/zero | tr '\0' '\n'; printf %s "$2" | base64 -d; } > "$folder/$number.yaml"
files+=(-f "$folder/$number.yaml"); shift 2; done
cd "$HOME"; export KUBECONFIG=/root/.kube/config
timeout -k 1 "$PATIENCE" kubectl "$verb" "${files[@]}" 2>&1 | head -c 65536; exit "${PIPESTATUS[0]}""#;

/// Runs it.
///
/// # Errors
/// When the text is too long, or the workstation does not answer.
pub(super) async fn run(host: &dyn NodeHost, session: &str, request: &RunManifest) -> Result<ManifestOutcome, Error> {
    if request.text.len() as u64 > EDIT_LIMIT {
        return Err(Error::TooLarge(format!(
            "The text is longer than {} KiB. Save it and use kubectl apply -f in the terminal.",
            EDIT_LIMIT / 1024
        )));
    }
    let documents = documents(&request.text);
    if documents.len() > MOST_DOCUMENTS {
        return Err(Error::TooLarge(format!("The text has more than {MOST_DOCUMENTS} documents.")));
    }
    let verb = match request.action {
        ManifestAction::Apply => "apply",
        ManifestAction::Diff => "diff",
    };
    let folder = format!("/tmp/.drydock-{:016x}", rand::random::<u64>());
    let mut arguments = vec![folder.clone(), verb.to_owned()];
    for Document { first_line, text } in &documents {
        arguments.push((first_line - 1).to_string());
        arguments.push(encode(text.as_bytes()));
    }
    let run = RUN.replace("\"$PATIENCE\"", &PATIENCE.to_string());
    let output = script(host, session, PATIENCE + 5, &run, arguments).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let ok = output.code == 0 || (request.action == ManifestAction::Diff && output.code == DIFFERENT);
    let problems = if ok { Vec::new() } else { problems(&documents, &folder, &request.name, &said) };
    let mut text = locate::renamed(&said, &folder, &request.name);
    if output.code == TIMED_OUT {
        text.push_str(&format!("kubectl took longer than {PATIENCE} seconds and was stopped.\n"));
    }
    Ok(ManifestOutcome { ok, output: text, problems })
}
