//! How a pod is, in one of five words: what the diagram's colours and shapes stand for.

use super::Pod;

/// How a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PodHealth {
    /// Runs and is ready.
    Ready,
    /// On its way up or down: Pending, ContainerCreating, Init, Terminating.
    Progressing,
    /// Runs, but is not ready.
    NotReady,
    /// Something is wrong and will not pass by itself.
    Failing,
    /// Did its work and ended well.
    Completed,
}

impl Pod {
    /// How the pod is, from kubectl's STATUS word and its Ready condition.
    #[must_use]
    pub fn health(&self) -> PodHealth {
        match self.state.as_str() {
            "Running" if self.ready => PodHealth::Ready,
            "Running" | "NotReady" | "Unknown" => PodHealth::NotReady,
            "Succeeded" | "Completed" => PodHealth::Completed,
            "Pending" | "ContainerCreating" | "PodInitializing" | "Terminating" | "SchedulingGated" | "" => {
                PodHealth::Progressing
            }
            state => match state.strip_prefix("Init:") {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => PodHealth::Progressing,
                _ => PodHealth::Failing,
            },
        }
    }

    /// Whether the pod is being deleted.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.state == "Terminating"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(state: &str, ready: bool, want: PodHealth) {
        let pod = Pod { state: state.into(), ready, ..Pod::default() };
        assert_eq!(pod.health(), want, "{state} ready={ready}");
    }

    #[test]
    fn words_of_kubectl() {
        check("Running", true, PodHealth::Ready);
        check("Running", false, PodHealth::NotReady);
        check("Pending", false, PodHealth::Progressing);
        check("ContainerCreating", false, PodHealth::Progressing);
        check("Init:0/2", false, PodHealth::Progressing);
        check("Init:CrashLoopBackOff", false, PodHealth::Failing);
        check("Terminating", true, PodHealth::Progressing);
        check("Completed", false, PodHealth::Completed);
        check("CrashLoopBackOff", false, PodHealth::Failing);
        check("ImagePullBackOff", false, PodHealth::Failing);
        check("Error", false, PodHealth::Failing);
        check("OOMKilled", false, PodHealth::Failing);
    }
}
