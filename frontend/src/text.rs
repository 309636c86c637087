//! What the interface says, in each language.
//!
//! A language is a value of [`Texts`], so a missing text does not compile. Words between back-ticks are code.

mod class;
mod en;
mod kubeconfig;
mod page;
mod punctuation;
mod scene;
mod share;
mod staff;
mod zh_cn;
mod zh_tw;

use drydock_protocol::error::code;
use drydock_protocol::{Language, Notice, StartStage};

pub use class::ClassTexts;
pub use kubeconfig::KubeconfigTexts;
pub use page::PageTexts;
pub use punctuation::{Punctuation, punctuation};
pub use scene::SceneTexts;
pub use share::ShareTexts;
pub use staff::{StaffTexts, staff_texts};

/// All texts of a language.
#[derive(Debug)]
pub struct Texts {
    /// For learners of a class.
    pub class: &'static ClassTexts,
    /// About letting others in.
    pub share: &'static ShareTexts,
    /// About the kubeconfig for programs outside.
    pub kubeconfig: &'static KubeconfigTexts,
    /// Of the session page.
    pub page: &'static PageTexts,
    /// Link that jumps over the header.
    pub skip: &'static str,
    /// Label of the language switch.
    pub language: &'static str,
    /// Name of the button that goes to the dark theme.
    pub theme_dark: &'static str,
    /// Name of the button that goes to the light theme.
    pub theme_light: &'static str,
    /// Heading of the catalogue, first crumb.
    pub lessons: &'static str,
    /// Headline of the catalogue.
    pub home_title: &'static str,
    /// What Drydock is.
    pub home_text: &'static str,
    /// Level.
    pub beginner: &'static str,
    /// Level.
    pub intermediate: &'static str,
    /// Level.
    pub advanced: &'static str,
    /// Starts a lesson.
    pub start: &'static str,
    /// Shown while the request runs.
    pub starting_button: &'static str,
    /// Goes back to a running session.
    pub resume: &'static str,
    /// Heading above running sessions.
    pub running_title: &'static str,
    /// The playground without a lesson.
    pub free_title: &'static str,
    /// What it is.
    pub free_text: &'static str,
    /// Shown when the server has none.
    pub no_lessons: &'static str,
    /// While something loads.
    pub loading: &'static str,
    /// The server cannot be reached.
    pub offline_title: &'static str,
    /// What to do then.
    pub offline_text: &'static str,
    /// Tries again.
    pub retry: &'static str,
    /// No room for a session.
    pub capacity_title: &'static str,
    /// Any other error.
    pub error_title: &'static str,
    /// No such page.
    pub not_found_title: &'static str,
    /// What to do then.
    pub not_found_text: &'static str,
    /// No such session.
    pub unknown_title: &'static str,
    /// What to do then.
    pub unknown_text: &'static str,
    /// The session is over.
    pub ended_title: &'static str,
    /// What that means.
    pub ended_text: &'static str,
    /// Being removed.
    pub ending_title: &'static str,
    /// The session broke.
    pub failed_title: &'static str,
    /// Back to the catalogue.
    pub back: &'static str,
    /// Starts the same lesson once more.
    pub start_again: &'static str,
    /// Adds time.
    pub extend: &'static str,
    /// Throws the cluster away and makes a new one.
    pub reset: &'static str,
    /// Ends the session.
    pub end: &'static str,
    /// Leaves a dialog.
    pub cancel: &'static str,
    /// Title of the confirmation.
    pub end_question: &'static str,
    /// What that does.
    pub end_consequence: &'static str,
    /// Title of the confirmation.
    pub reset_question: &'static str,
    /// What that does.
    pub reset_consequence: &'static str,
    /// Label of the clock.
    pub time_left: &'static str,
    /// Label of the memory figure.
    pub memory: &'static str,
    /// The event stream is broken.
    pub reconnecting: &'static str,
    /// Title of the start progress.
    pub coming_up: &'static str,
    /// Start stage.
    pub stage_network: &'static str,
    /// Start stage.
    pub stage_etcd: &'static str,
    /// Start stage.
    pub stage_api_server: &'static str,
    /// Start stage.
    pub stage_controllers: &'static str,
    /// Start stage.
    pub stage_nodes: &'static str,
    /// Start stage.
    pub stage_workstation: &'static str,
    /// Runs a command.
    pub run: &'static str,
    /// Name of that button for screen readers, before the command.
    pub run_in: &'static str,
    /// Copies code.
    pub copy: &'static str,
    /// After copying.
    pub copied: &'static str,
    /// Heading above the checks.
    pub checks_title: &'static str,
    /// Read out when a check turns green, before its title.
    pub check_met: &'static str,
    /// Word for screen readers: not met.
    pub check_now: &'static str,
    /// Word for screen readers: met.
    pub check_done: &'static str,
    /// Next step.
    pub next: &'static str,
    /// Previous step.
    pub previous: &'static str,
    /// After the last step.
    pub finish: &'static str,
    /// After the last step.
    pub finish_text: &'static str,
    /// Title of a hint.
    pub hint: &'static str,
    /// Shows the first hint.
    pub show_hint: &'static str,
    /// Shows the next hint.
    pub more_hint: &'static str,
    /// Heading of what the last action set off.
    pub happened: &'static str,
    /// Plays it on the picture.
    pub play_link: &'static str,
    /// A step without translation.
    pub in_english: &'static str,
    /// Label of the progress bar.
    pub steps: &'static str,
    /// Name of the lesson's region.
    pub lesson_pane: &'static str,
    /// Name of the diagram.
    pub picture: &'static str,
    /// Beside the master's name.
    pub control_plane: &'static str,
    /// Lane.
    pub services: &'static str,
    /// An empty lane.
    pub none_yet: &'static str,
    /// Place of pods without a node.
    pub waiting: &'static str,
    /// Nothing waits.
    pub waiting_none: &'static str,
    /// Shows system objects.
    pub system: &'static str,
    /// State.
    pub starting: &'static str,
    /// State.
    pub not_ready: &'static str,
    /// State.
    pub stopped: &'static str,
    /// State.
    pub cordoned: &'static str,
    /// State.
    pub failing: &'static str,
    /// State.
    pub running: &'static str,
    /// Name of the details panel.
    pub details: &'static str,
    /// Closes something.
    pub close: &'static str,
    /// Detail.
    pub d_kind: &'static str,
    /// Detail.
    pub d_namespace: &'static str,
    /// Detail.
    pub d_state: &'static str,
    /// Detail.
    pub d_ip: &'static str,
    /// Detail.
    pub d_node: &'static str,
    /// Detail.
    pub d_owner: &'static str,
    /// Detail.
    pub d_containers: &'static str,
    /// Detail.
    pub d_restarts: &'static str,
    /// Detail.
    pub d_labels: &'static str,
    /// Detail.
    pub d_selector: &'static str,
    /// Detail.
    pub d_ports: &'static str,
    /// Detail.
    pub d_endpoints: &'static str,
    /// Detail.
    pub d_replicas: &'static str,
    /// Detail.
    pub d_images: &'static str,
    /// Detail.
    pub d_memory: &'static str,
    /// Detail.
    pub d_cidr: &'static str,
    /// Detail.
    pub d_components: &'static str,
    /// Button.
    pub describe: &'static str,
    /// Button.
    pub logs: &'static str,
    /// Button.
    pub stop_node: &'static str,
    /// Button.
    pub start_node: &'static str,
    /// Name of the trace strip.
    pub trace: &'static str,
    /// No trace yet.
    pub trace_empty: &'static str,
    /// Plays a trace.
    pub play: &'static str,
    /// Stops playing.
    pub stop: &'static str,
    /// Name of the terminal region.
    pub terminals: &'static str,
    /// Label of a terminal for screen readers.
    pub terminal_label: &'static str,
    /// Opens a terminal.
    pub new_tab: &'static str,
    /// Closes a terminal.
    pub close_tab: &'static str,
    /// In the terminal.
    pub term_lost: &'static str,
    /// In the terminal.
    pub term_exit: &'static str,
    /// The terminal could not be loaded.
    pub term_failed: &'static str,
    /// Before the cluster is ready.
    pub term_waits: &'static str,
    /// Name of a splitter.
    pub resize_lesson: &'static str,
    /// Name of a splitter.
    pub resize_terminal: &'static str,
    /// What the picture and all around it say.
    pub scene: &'static SceneTexts,
    /// Notice.
    pub expires_soon: &'static str,
    /// Notice.
    pub lesson_changed: &'static str,
    /// Notice.
    pub setup_failed: &'static str,
    /// Length of a lesson.
    pub minutes: fn(usize) -> String,
    /// Number of steps.
    pub step_count: fn(usize) -> String,
    /// Number of nodes.
    pub node_count: fn(usize) -> String,
    /// Header.
    pub nodes_ready: fn(usize, usize) -> String,
    /// Crumb.
    pub step_of: fn(usize, usize) -> String,
    /// Replicas.
    pub ready_of: fn(usize, usize) -> String,
    /// Read out with the clock.
    pub minutes_left: fn(usize) -> String,
    /// Tooltip.
    pub extend_by: fn(usize) -> String,
    /// What an action set off; the action is shown before.
    pub set_off: fn(usize) -> String,
}

/// The texts of a language.
#[must_use]
pub const fn texts(language: Language) -> &'static Texts {
    match language {
        Language::English => &en::TEXTS,
        Language::TraditionalChinese => &zh_tw::TEXTS,
        Language::SimplifiedChinese => &zh_cn::TEXTS,
    }
}

impl Texts {
    /// What a stage of coming up is called.
    #[must_use]
    pub const fn stage(&self, stage: StartStage) -> &'static str {
        match stage {
            StartStage::Network => self.stage_network,
            StartStage::Etcd => self.stage_etcd,
            StartStage::ApiServer => self.stage_api_server,
            StartStage::Controllers => self.stage_controllers,
            StartStage::Nodes => self.stage_nodes,
            StartStage::Workstation => self.stage_workstation,
        }
    }

    /// Why the server refused something: translated where its code says all, else as the server wrote it.
    #[must_use]
    pub fn refusal(&self, code: &str, message: &str) -> String {
        match code {
            code::PAUSED => self.class.held.to_owned(),
            code::TOO_MANY => self.page.too_many.to_owned(),
            _ => message.to_owned(),
        }
    }

    /// The sentence of a notice: translated where its code is known, else as the server wrote it.
    #[must_use]
    pub fn notice(&self, notice: &Notice) -> String {
        match notice.code.as_str() {
            "expires_soon" => self.expires_soon.to_owned(),
            "lesson_changed" => self.lesson_changed.to_owned(),
            "setup_failed" => self.setup_failed.to_owned(),
            code => self.refusal(code, &notice.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_and_numbers() {
        let (en, tw) = (texts(Language::English), texts(Language::TraditionalChinese));
        assert_eq!((en.step_count)(1), "1 step");
        assert_eq!((en.nodes_ready)(2, 3), "2 of 3 nodes Ready");
        assert_eq!((tw.step_of)(3, 6), "第 3 步，共 6 步");
    }

    #[test]
    fn a_refusal_is_told_in_the_readers_language_where_it_is_a_known_one() {
        let refusal = |language, code| texts(language).refusal(code, "As it was written.");
        assert_eq!(refusal(Language::English, "something new"), "As it was written.");
        for known in [code::PAUSED, code::TOO_MANY] {
            let mut said = Language::ALL.map(|language| refusal(language, known)).to_vec();
            said.dedup();
            assert!(said.len() == 3 && !said.contains(&"As it was written.".to_owned()), "{said:?}");
        }
    }

    #[test]
    fn an_unknown_notice_is_shown_as_the_server_wrote_it() {
        let notice = Notice { level: Default::default(), code: "new_thing".into(), message: "Something new.".into() };
        assert_eq!(texts(Language::SimplifiedChinese).notice(&notice), "Something new.");
    }
}
