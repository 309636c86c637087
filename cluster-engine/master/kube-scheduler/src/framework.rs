//! Filtering and scoring: the scheduling cycle as a pure function.
//!
//! A plugin is made for one pod and one snapshot, works out there what it needs of the whole
//! cluster, and is then asked about each node. Order, weights and texts are those of upstream's
//! default profile.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::plugins;
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};

/// The highest score of a plugin after normalising.
pub const MAX_SCORE: i64 = 100;

/// Why a node (or the pod as a whole) was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Which plugin refused.
    pub plugin: &'static str,
    /// Why, each as upstream writes it.
    pub reasons: Vec<String>,
    /// Whether removing pods from the node could help.
    pub resolvable: bool,
}

impl Rejection {
    /// Removing pods could help.
    pub fn resolvable(plugin: &'static str, reason: impl Into<String>) -> Rejection {
        Rejection { plugin, reasons: vec![reason.into()], resolvable: true }
    }

    /// Removing pods cannot help.
    pub fn final_(plugin: &'static str, reason: impl Into<String>) -> Rejection {
        Rejection { plugin, reasons: vec![reason.into()], resolvable: false }
    }
}

/// A plugin, made for one pod and one snapshot.
pub trait Plugin {
    /// Whether the pod may run on `node`.
    ///
    /// # Errors
    /// Why it may not.
    fn filter(&self, _node: &NodeInfo) -> Result<(), Rejection> {
        Ok(())
    }

    /// How much this plugin's score counts; 0 if it does not score.
    fn weight(&self) -> i64 {
        0
    }

    /// How good `node` is, on the plugin's own scale.
    fn score(&self, _node: &NodeInfo) -> i64 {
        0
    }

    /// Brings the scores of all feasible nodes to 0..=[`MAX_SCORE`].
    fn normalize(&self, _scores: &mut [i64], _nodes: &[&NodeInfo]) {}
}

/// Why no node fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FitError {
    /// How many nodes there are.
    pub nodes: usize,
    /// The pod is refused whatever the node.
    pub whole: Option<Rejection>,
    /// Why each node was refused.
    pub by_node: BTreeMap<String, Rejection>,
    /// What preemption had to say.
    pub preemption: String,
}

impl FitError {
    /// The names of the plugins that refused.
    pub fn plugins(&self) -> impl Iterator<Item = &'static str> {
        self.whole.iter().chain(self.by_node.values()).map(|rejection| rejection.plugin)
    }
}

impl std::fmt::Display for FitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nodes == 0 && self.whole.is_none() {
            return f.write_str("no nodes available to schedule pods");
        }
        write!(f, "0/{} nodes are available:", self.nodes)?;
        if let Some(whole) = &self.whole {
            write!(f, " {}.", whole.reasons.join(", "))?;
        } else {
            let mut histogram: BTreeMap<&str, usize> = BTreeMap::new();
            for reason in self.by_node.values().flat_map(|rejection| &rejection.reasons) {
                *histogram.entry(reason).or_default() += 1;
            }
            let mut parts: Vec<String> = histogram.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            parts.sort();
            if !parts.is_empty() {
                write!(f, " {}.", parts.join(", "))?;
            }
        }
        if !self.preemption.is_empty() {
            write!(f, " {}", self.preemption)?;
        }
        Ok(())
    }
}

impl std::error::Error for FitError {}

/// Picks the best node for a pod.
///
/// Among equally good nodes the pod's uid decides, so that the answer depends on nothing but the
/// arguments and pods still spread.
///
/// # Errors
/// When no node fits, with the reason of each.
pub fn schedule(snapshot: &Snapshot, pod: &PodInfo) -> Result<String, FitError> {
    let feasible = feasible(snapshot, pod)?;
    if let [only] = feasible.as_slice() {
        return Ok((*only).to_owned());
    }
    let plugins = plugins::all(snapshot, pod).map_err(|whole| FitError {
        nodes: snapshot.node_count(),
        whole: Some(whole),
        ..FitError::default()
    })?;
    let nodes: Vec<&NodeInfo> = feasible.iter().filter_map(|name| snapshot.node(name)).collect();
    let mut totals = vec![0_i64; nodes.len()];
    for plugin in plugins.iter().filter(|plugin| plugin.weight() > 0) {
        let mut scores: Vec<i64> = nodes.iter().map(|node| plugin.score(node)).collect();
        plugin.normalize(&mut scores, &nodes);
        for (total, score) in totals.iter_mut().zip(scores) {
            *total += score.clamp(0, MAX_SCORE) * plugin.weight();
        }
    }
    let best = totals.iter().copied().max().unwrap_or_default();
    let winners: Vec<&str> =
        nodes.iter().zip(&totals).filter(|(_, total)| **total == best).map(|(node, _)| node.name()).collect();
    let mut hasher = DefaultHasher::new();
    pod.uid().hash(&mut hasher);
    let pick = (hasher.finish() % winners.len().max(1) as u64) as usize;
    winners.get(pick).map(|name| (*name).to_owned()).ok_or_else(FitError::default)
}

/// The nodes a pod may run on, in order of their names.
///
/// A node must fit both with the pods nominated to it and without them: they may or may not arrive,
/// and affinity may depend on either.
fn feasible<'a>(snapshot: &'a Snapshot, pod: &PodInfo) -> Result<Vec<&'a str>, FitError> {
    let mut error = FitError { nodes: snapshot.node_count(), ..FitError::default() };
    if error.nodes == 0 {
        return Err(error);
    }
    let crowded = snapshot.with_nominated(pod);
    let mut views = vec![snapshot];
    views.extend(crowded.as_ref());
    let mut sets = Vec::new();
    for view in &views {
        match plugins::all(view, pod) {
            Ok(plugins) => sets.push((*view, plugins)),
            Err(whole) => {
                error.whole = Some(whole);
                return Err(error);
            }
        }
    }
    let named = plugins::node_affinity::named_nodes(&pod.pod);
    let mut fitting = Vec::new();
    for node in snapshot.nodes() {
        if named.as_ref().is_some_and(|named| !named.contains(node.name())) {
            let rejection = Rejection::final_("NodeAffinity", "node(s) didn't satisfy plugin(s) [NodeAffinity]");
            error.by_node.insert(node.name().to_owned(), rejection);
            continue;
        }
        let refusal = sets.iter().rev().find_map(|(view, plugins)| {
            let node = view.node(node.name())?;
            first_refusal(plugins, node)
        });
        match refusal {
            None => fitting.push(node.name()),
            Some(rejection) => {
                error.by_node.insert(node.name().to_owned(), rejection);
            }
        }
    }
    if fitting.is_empty() { Err(error) } else { Ok(fitting) }
}

/// The first plugin that refuses the node.
fn first_refusal(plugins: &[Box<dyn Plugin + '_>], node: &NodeInfo) -> Option<Rejection> {
    plugins.iter().find_map(|plugin| plugin.filter(node).err())
}

/// Whether a pod may run on one node of the snapshot.
///
/// # Errors
/// Why it may not.
pub fn fits(snapshot: &Snapshot, pod: &PodInfo, node: &str) -> Result<(), Rejection> {
    let plugins = plugins::all(snapshot, pod)?;
    match snapshot.node(node).and_then(|node| first_refusal(&plugins, node)) {
        Some(rejection) => Err(rejection),
        None => Ok(()),
    }
}

/// Scales scores so that the highest becomes [`MAX_SCORE`]; with `reverse` the lowest does.
/// Upstream: `helper.DefaultNormalizeScore`.
pub fn normalize_to_highest(scores: &mut [i64], reverse: bool) {
    let highest = scores.iter().copied().max().unwrap_or_default();
    if highest == 0 {
        if reverse {
            scores.fill(MAX_SCORE);
        }
        return;
    }
    for score in scores {
        let scaled = MAX_SCORE * *score / highest;
        *score = if reverse { MAX_SCORE - scaled } else { scaled };
    }
}
