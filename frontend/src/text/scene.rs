//! What the picture, its details, the trace and the fault panel say.

mod en;
mod zh_cn;
mod zh_tw;

use drydock_protocol::FaultKind;

use crate::story::Deed;

pub(super) use {en::TEXTS as EN, zh_cn::TEXTS as ZH_CN, zh_tw::TEXTS as ZH_TW};

/// These texts in one language.
#[derive(Debug)]
pub struct SceneTexts {
    /// How the picture is used by keyboard.
    pub help: &'static str,
    /// The buttons that draw the picture larger or smaller.
    pub zoom: &'static str,
    /// Larger.
    pub zoom_in: &'static str,
    /// Smaller.
    pub zoom_out: &'static str,
    /// As large as it was.
    pub zoom_reset: &'static str,
    /// Lane.
    pub workloads: &'static str,
    /// Lane.
    pub ingress_services: &'static str,
    /// A group's kind.
    pub pods: &'static str,
    /// A group of pods without an owner.
    pub by_hand: &'static str,
    /// State of a component.
    pub paused: &'static str,
    /// State of a node.
    pub frozen: &'static str,
    /// State of a node.
    pub cut: &'static str,
    /// State of a node.
    pub loses: &'static str,
    /// State of etcd.
    pub slow: &'static str,
    /// Opens the menu of what can be opened.
    pub opens: &'static str,
    /// There is nothing.
    pub opens_none: &'static str,
    /// Opens the fault panel.
    pub faults: &'static str,
    /// Title of the fault panel.
    pub faults_title: &'static str,
    /// No fault holds.
    pub faults_none: &'static str,
    /// Faults that hold.
    pub faults_now: &'static str,
    /// Ends a fault.
    pub heal: &'static str,
    /// Fault.
    pub f_stop: &'static str,
    /// Fault.
    pub f_freeze: &'static str,
    /// Fault.
    pub f_cut: &'static str,
    /// Fault.
    pub f_loss: &'static str,
    /// Fault.
    pub f_kill: &'static str,
    /// Fault.
    pub f_pause: &'static str,
    /// Fault.
    pub f_slow: &'static str,
    /// What the fault does.
    pub t_stop: &'static str,
    /// What the fault does.
    pub t_freeze: &'static str,
    /// What the fault does.
    pub t_cut: &'static str,
    /// What the fault does.
    pub t_loss: &'static str,
    /// What the fault does.
    pub t_kill: &'static str,
    /// What the fault does.
    pub t_pause: &'static str,
    /// What the fault does.
    pub t_slow: &'static str,
    /// Heading in the fault panel.
    pub f_nodes: &'static str,
    /// Heading in the fault panel.
    pub f_components: &'static str,
    /// Adds a worker.
    pub add_node: &'static str,
    /// While it is added.
    pub adding_node: &'static str,
    /// Removes a worker.
    pub remove_node: &'static str,
    /// Before a node is removed.
    pub remove_question: &'static str,
    /// What that does.
    pub remove_consequence: &'static str,
    /// Tab of the details.
    pub t_summary: &'static str,
    /// Tab of the details.
    pub t_yaml: &'static str,
    /// Tab of the details.
    pub t_events: &'static str,
    /// Tab of the details.
    pub t_logs: &'static str,
    /// Nothing to show.
    pub no_events: &'static str,
    /// Nothing to show.
    pub no_lines: &'static str,
    /// The log's end.
    pub log_over: &'static str,
    /// YAML that is too long.
    pub cut_here: &'static str,
    /// Choice.
    pub container: &'static str,
    /// Choice.
    pub previous: &'static str,
    /// Opens a shell.
    pub shell: &'static str,
    /// Detail.
    pub d_hosts: &'static str,
    /// Detail.
    pub d_class: &'static str,
    /// Detail.
    pub d_address: &'static str,
    /// Detail.
    pub d_claims: &'static str,
    /// Detail.
    pub d_faults: &'static str,
    /// Name of the list of traces.
    pub trace_choose: &'static str,
    /// Steps back.
    pub before: &'static str,
    /// Steps on.
    pub after: &'static str,
    /// Pauses.
    pub pause: &'static str,
    /// Name of the choice of speed.
    pub speed: &'static str,
    /// Behind what has no time.
    pub untimed: &'static str,
    /// Sentence of an act.
    pub deed_asked_create: &'static str,
    /// Sentence of an act.
    pub deed_asked_change: &'static str,
    /// Sentence of an act.
    pub deed_asked_delete: &'static str,
    /// Sentence of an act.
    pub deed_checked: &'static str,
    /// Sentence of an act.
    pub deed_refused: &'static str,
    /// Sentence of an act.
    pub deed_stored: &'static str,
    /// Sentence of an act.
    pub deed_replica_set: &'static str,
    /// Sentence of an act.
    pub deed_pod_made: &'static str,
    /// Sentence of an act.
    pub deed_pod_ends: &'static str,
    /// Sentence of an act.
    pub deed_bound: &'static str,
    /// Sentence of an act.
    pub deed_pod_status: &'static str,
    /// Sentence of an act.
    pub deed_pod_gone: &'static str,
    /// Sentence of an act.
    pub deed_endpoints: &'static str,
    /// Sentence of an act.
    pub deed_proxied: &'static str,
    /// Sentence of an act.
    pub deed_claim: &'static str,
    /// Sentence of an act.
    pub deed_removed: &'static str,
    /// Sentence of an act.
    pub deed_status: &'static str,
    /// Sentence of an act.
    pub deed_other: &'static str,
    /// A group of pods.
    pub pods_ready: fn(usize, usize) -> String,
    /// What a trace consists of.
    pub trace_of: fn(usize, usize) -> String,
    /// Which act of how many is shown.
    pub act_of: fn(usize, usize) -> String,
}

impl SceneTexts {
    /// The sentence that explains an act.
    #[must_use]
    pub const fn deed(&self, deed: Deed) -> &'static str {
        match deed {
            Deed::AskedCreate => self.deed_asked_create,
            Deed::AskedChange => self.deed_asked_change,
            Deed::AskedDelete => self.deed_asked_delete,
            Deed::Checked => self.deed_checked,
            Deed::Refused => self.deed_refused,
            Deed::Stored => self.deed_stored,
            Deed::ReplicaSet => self.deed_replica_set,
            Deed::PodMade => self.deed_pod_made,
            Deed::PodEnds => self.deed_pod_ends,
            Deed::Bound => self.deed_bound,
            Deed::PodStatus => self.deed_pod_status,
            Deed::PodGone => self.deed_pod_gone,
            Deed::Endpoints => self.deed_endpoints,
            Deed::Proxied => self.deed_proxied,
            Deed::Claim => self.deed_claim,
            Deed::Removed => self.deed_removed,
            Deed::Status => self.deed_status,
            Deed::Other => self.deed_other,
        }
    }

    /// A fault's name, and what it does.
    #[must_use]
    pub const fn fault(&self, kind: FaultKind) -> (&'static str, &'static str) {
        match kind {
            FaultKind::StopNode => (self.f_stop, self.t_stop),
            FaultKind::FreezeNode => (self.f_freeze, self.t_freeze),
            FaultKind::CutNode => (self.f_cut, self.t_cut),
            FaultKind::Loss => (self.f_loss, self.t_loss),
            FaultKind::KillComponent => (self.f_kill, self.t_kill),
            FaultKind::PauseComponent => (self.f_pause, self.t_pause),
            FaultKind::SlowWrites => (self.f_slow, self.t_slow),
        }
    }

    /// What a fault that holds is called beside the name of what it befell.
    #[must_use]
    pub const fn befallen(&self, kind: FaultKind) -> &'static str {
        match kind {
            FaultKind::StopNode => self.f_stop,
            FaultKind::FreezeNode => self.frozen,
            FaultKind::CutNode => self.cut,
            FaultKind::Loss => self.loses,
            FaultKind::KillComponent => self.f_kill,
            FaultKind::PauseComponent => self.paused,
            FaultKind::SlowWrites => self.slow,
        }
    }
}
