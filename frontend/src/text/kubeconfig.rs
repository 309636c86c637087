//! What the page says about the kubeconfig for programs on the learner's own machine.

/// The texts.
#[derive(Debug)]
pub struct KubeconfigTexts {
    /// Opens the dialog, and its title.
    pub title: &'static str,
    /// What it is good for, and how long.
    pub text: &'static str,
    /// Gives one.
    pub download: &'static str,
    /// Makes all of them void.
    pub revoke: &'static str,
    /// They are.
    pub revoked: &'static str,
}

pub(super) const EN: KubeconfigTexts = KubeconfigTexts {
    title: "Kubeconfig for your own kubectl",
    text: "With it kubectl, Helm or Lens on your own machine work in this cluster until the session ends. Whoever has the file can do anything in the cluster: keep it to yourself.",
    download: "Download",
    revoke: "Make all void",
    revoked: "No kubeconfig that was downloaded before is valid any more.",
};

pub(super) const ZH_TW: KubeconfigTexts = KubeconfigTexts {
    title: "給自己的 kubectl 用的 kubeconfig",
    text: "有了它，你電腦上的 kubectl、Helm 或 Lens 就能操作這座叢集，直到工作階段結束。拿到這個檔案的人可以在叢集裡做任何事，請不要交給別人。",
    download: "下載",
    revoke: "全部作廢",
    revoked: "先前下載的 kubeconfig 都已失效。",
};

pub(super) const ZH_CN: KubeconfigTexts = KubeconfigTexts {
    title: "供自己的 kubectl 使用的 kubeconfig",
    text: "有了它，你电脑上的 kubectl、Helm 或 Lens 就能操作这个集群，直到会话结束。拿到这个文件的人可以在集群里做任何事，请不要交给别人。",
    download: "下载",
    revoke: "全部作废",
    revoked: "之前下载的 kubeconfig 都已失效。",
};
