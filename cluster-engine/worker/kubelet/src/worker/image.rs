//! Getting a container's image, with upstream's events, reasons and pauses (`EnsureImageExists`).

use std::sync::Arc;

use drydock_client::EventType;
use drydock_images::Image;
use drydock_images::service::Credentials;

use super::{Message, Worker};
use crate::images::keyring::Keyring;
use crate::kubelet::now;
use crate::plan::go_duration;
use crate::pod::{Container, Pod};
use crate::state::{Millis, Retry};

/// Pauses between attempts to fetch an image (upstream: `imageBackOff`).
const PULL_RETRY: (Millis, Millis) = (10_000, 300_000);
/// The failure shows for a moment as what it is before the pause shows: upstream looks at the pod again so soon.
const PAUSE_SHOWS: Millis = 1_500;
/// Pauses between looks for an image that is not fetched, since its name or policy forbids it.
const LOOK_RETRY: (Millis, Millis) = (2_000, 300_000);

/// Why a container is not running: reason and message of its waiting state.
pub(super) type Refusal = (&'static str, String);

/// Why there is no image.
pub(super) enum NoImage {
    /// It is tried again at that time.
    Refused(Refusal, Retry),
    /// The pod goes away.
    Interrupted,
}

/// How a container's image is to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Policy {
    Always,
    IfNotPresent,
    Never,
}

impl Policy {
    /// The pod's word, or what upstream takes for an image without one.
    pub(super) fn of(word: &str, image: &str) -> Self {
        let tagged = image.rsplit('/').next().is_some_and(|last| last.contains(':') && !last.ends_with(":latest"));
        match word {
            "Always" => Self::Always,
            "Never" => Self::Never,
            "" if !image.contains('@') && !tagged => Self::Always,
            _ => Self::IfNotPresent,
        }
    }
}

impl Worker {
    /// Finds the image, or has it fetched.
    pub(super) async fn image(&mut self, pod: &Arc<Pod>, container: &Container) -> Result<Image, NoImage> {
        let (kubelet, name, image) = (self.kubelet.clone(), container.name.as_str(), container.image.as_str());
        let event = |kind, reason: &str, message: String| kubelet.event(pod, Some(name), kind, reason, message);
        let look = |refusal: Refusal, before: Retry| {
            let mut retry = before;
            retry.failed(now(), LOOK_RETRY.0, LOOK_RETRY.1);
            NoImage::Refused(refusal, retry)
        };
        let before = self.state.record(name).map(|record| record.retry).unwrap_or_default();
        if image.parse::<drydock_images::Reference>().is_err() {
            let message = format!(
                "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format"
            );
            event(EventType::Warning, "InspectFailed", message.clone());
            event(EventType::Warning, "Failed", "Error: InvalidImageName".to_owned());
            return Err(look(("InvalidImageName", message), before));
        }
        let policy = Policy::of(&container.image_pull_policy, image);
        let found = kubelet.images.resolve(image).ok();
        match found {
            Some(found) if policy != Policy::Always => {
                kubelet.images.hold(&found).await;
                let text =
                    format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
                event(EventType::Normal, "Pulled", text);
                return Ok(found);
            }
            Some(found) if !found.is_pulled() => {
                // Said as it is: the image belongs to the machine, nothing was fetched.
                event(EventType::Normal, "Pulling", format!("Pulling image \"{image}\""));
                let text = pulled(image, " from this machine's image store", (0, 0), found.size);
                event(EventType::Normal, "Pulled", text);
                return Ok(found);
            }
            None if policy == Policy::Never => {
                let message = format!("Container image \"{image}\" is not present with pull policy of Never");
                event(EventType::Warning, "ErrImageNeverPull", message.clone());
                event(EventType::Warning, "Failed", "Error: ErrImageNeverPull".to_owned());
                return Err(look(("ErrImageNeverPull", message), before));
            }
            _ => {}
        }
        let pause = self.state.record(name).map(|record| record.pull).unwrap_or_default();
        if now() < pause.at {
            let last = self.state.record(name).and_then(|record| record.waiting.as_ref());
            let message = match last {
                Some(waiting) if waiting.reason == "ImagePullBackOff" => waiting.message.clone(),
                Some(waiting) if waiting.reason == "ErrImagePull" => {
                    format!("Back-off pulling image \"{image}\": ErrImagePull: {}", waiting.message)
                }
                _ => format!("Back-off pulling image \"{image}\""),
            };
            event(EventType::Normal, "BackOff", format!("Back-off pulling image \"{image}\""));
            event(EventType::Warning, "Failed", "Error: ImagePullBackOff".to_owned());
            return Err(NoImage::Refused(("ImagePullBackOff", message), pause));
        }
        event(EventType::Normal, "Pulling", format!("Pulling image \"{image}\""));
        let began = now();
        let credentials = self.pull_credentials(image).await;
        match self.fetch(image, credentials).await? {
            Ok((found, millis)) => {
                if let Some(record) = self.state.containers.get_mut(name) {
                    record.pull = Retry::default();
                }
                let took = Millis::try_from(millis).unwrap_or(0);
                let waited = (now() - began).max(took);
                event(EventType::Normal, "Pulled", pulled(image, "", (took, waited), found.size));
                Ok(found)
            }
            Err(failure) => {
                let message = format!("rpc error: code = {} desc = {}", failure.code, failure.reason);
                event(EventType::Warning, "Failed", format!("Failed to pull image \"{image}\": {message}"));
                event(EventType::Warning, "Failed", "Error: ErrImagePull".to_owned());
                let record = self.state.containers.entry(name.to_owned()).or_default();
                record.pull.failed(now(), PULL_RETRY.0, PULL_RETRY.1);
                let retry = Retry { at: now() + PAUSE_SHOWS, delay: PAUSE_SHOWS };
                Err(NoImage::Refused(("ErrImagePull", message), retry))
            }
        }
    }

    /// The image of a volume, with the text of why it cannot be had.
    pub(super) async fn volume_image(&mut self, pod: &Arc<Pod>, image: &str, word: &str) -> Result<Image, String> {
        let (kubelet, policy) = (self.kubelet.clone(), Policy::of(word, image));
        let found = kubelet.images.resolve(image);
        match found {
            Ok(found) if policy != Policy::Always || !found.is_pulled() => {
                kubelet.images.hold(&found).await;
                return Ok(found);
            }
            Err(_) if policy == Policy::Never => {
                return Err(format!("image \"{image}\" is not present with pull policy of Never"));
            }
            _ => {}
        }
        kubelet.event(pod, None, EventType::Normal, "Pulling", format!("Pulling image \"{image}\""));
        let credentials = self.pull_credentials(image).await;
        match self.fetch(image, credentials).await {
            Ok(Ok((found, millis))) => {
                let took = Millis::try_from(millis).unwrap_or(0);
                kubelet.event(pod, None, EventType::Normal, "Pulled", pulled(image, "", (took, took), found.size));
                Ok(found)
            }
            Ok(Err(failure)) => Err(format!("rpc error: code = {} desc = {}", failure.code, failure.reason)),
            Err(_) => Err("the pod is going away".to_owned()),
        }
    }

    /// Has an image fetched and meanwhile takes what happens to the pod.
    async fn fetch(
        &mut self,
        image: &str,
        credentials: Vec<Credentials>,
    ) -> Result<Result<(Image, u64), drydock_images::service::Failure>, NoImage> {
        let (kubelet, image, had_sandbox) = (self.kubelet.clone(), image.to_owned(), self.state.sandbox.is_some());
        let mut pull = Box::pin(async move { kubelet.images.pull(&image, credentials).await });
        loop {
            let message: Option<Message> = tokio::select! {
                biased;
                outcome = &mut pull => return Ok(outcome),
                message = self.mail.recv() => message,
            };
            let Some(message) = message else { return Err(NoImage::Interrupted) };
            self.receive(message).await;
            self.report();
            let lost = had_sandbox && self.state.sandbox.as_ref().is_none_or(|sandbox| sandbox.dead);
            if lost || self.state.terminating.is_some() || self.state.failed.is_some() {
                return Err(NoImage::Interrupted);
            }
        }
    }

    /// What the pod's pull secrets say of an image.
    pub(super) async fn pull_credentials(&mut self, image: &str) -> Vec<Credentials> {
        let pod = self.pod.clone();
        let names: Vec<&str> = pod.spec.image_pull_secrets.iter().map(|secret| secret.name.as_str()).collect();
        if names.is_empty() {
            return Vec::new();
        }
        let sources = self.sources(&[], &names).await;
        let secrets = sources.map(|sources| sources.secrets).unwrap_or_default();
        let mut keyring = Keyring::default();
        let mut missing = Vec::new();
        for name in names {
            match secrets.get(name).map(|secret| keyring.add(secret)) {
                Some(Ok(())) => {}
                Some(Err(reason)) => {
                    tracing::debug!(pod.name = pod.metadata.name, secret.name = name, reason, "not a pull secret");
                }
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            let text = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                missing.join(", ")
            );
            self.kubelet.event(&pod, None, EventType::Warning, "FailedToRetrieveImagePullSecret", text);
        }
        keyring.for_image(image)
    }
}

/// The text of `Pulled`: where from if that is not a registry, the pull's time without and with waiting, bytes.
fn pulled(image: &str, origin: &str, (took, waited): (Millis, Millis), size: u64) -> String {
    let (took, waited) = (go_duration(took), go_duration(waited));
    format!(
        "Successfully pulled image \"{image}\"{origin} in {took} ({waited} including waiting). Image size: {size} bytes."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_is_told_as_upstream_tells_it() {
        for (origin, times, expected) in [
            (
                "",
                (1_500, 2_000),
                "Successfully pulled image \"a\" in 1.5s (2s including waiting). Image size: 7 bytes.",
            ),
            (
                " from this machine's image store",
                (0, 0),
                "Successfully pulled image \"a\" from this machine's image store in 0s (0s including waiting). Image size: 7 bytes.",
            ),
        ] {
            assert_eq!(pulled("a", origin, times, 7), expected);
        }
    }

    #[test]
    fn policies_are_upstreams() {
        for (word, image, expected) in [
            ("", "nginx", Policy::Always),
            ("", "nginx:latest", Policy::Always),
            ("", "nginx:1", Policy::IfNotPresent),
            ("", "reg:5000/nginx", Policy::Always),
            ("", "nginx@sha256:aa", Policy::IfNotPresent),
            ("Never", "nginx", Policy::Never),
            ("IfNotPresent", "nginx", Policy::IfNotPresent),
            ("Always", "nginx:1", Policy::Always),
        ] {
            assert_eq!(Policy::of(word, image), expected, "{word} {image}");
        }
    }
}
