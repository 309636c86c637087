//! What the pages of instructors and operators say.

mod en;
mod zh_cn;
mod zh_tw;

use drydock_protocol::Language;
use drydock_protocol::account::SignInFailure;

/// The texts.
#[derive(Debug)]
pub struct StaffTexts {
    /// Name of this part of the app.
    pub staff: &'static str,
    /// Page.
    pub classes: &'static str,
    /// Page.
    pub server: &'static str,
    /// Page.
    pub sessions: &'static str,
    /// Page.
    pub accounts: &'static str,
    /// Page.
    pub deeds: &'static str,
    /// Page.
    pub account: &'static str,
    /// Leads to the learners' page.
    pub to_lessons: &'static str,
    /// Button and title.
    pub sign_in: &'static str,
    /// Button.
    pub sign_out: &'static str,
    /// The role is too small.
    pub forbidden_title: &'static str,
    /// What to do.
    pub forbidden_text: &'static str,
    /// Nothing there.
    pub absent_title: &'static str,
    /// What to do.
    pub absent_text: &'static str,
    /// Goes back to the list of classes.
    pub back: &'static str,
    /// Above the form.
    pub sign_in_text: &'static str,
    /// Label.
    pub name: &'static str,
    /// Label.
    pub password: &'static str,
    /// While something is under way.
    pub working: &'static str,
    /// Between two ways.
    pub or: &'static str,
    /// Wrong name or password.
    pub wrong: &'static str,
    /// OpenID Connect signed nobody in.
    pub sign_in_failed: fn(SignInFailure) -> &'static str,
    /// Too many attempts.
    pub too_often: &'static str,
    /// No account yet.
    pub no_account_title: &'static str,
    /// What to do.
    pub no_account_text: &'static str,
    /// Title.
    pub setup_title: &'static str,
    /// Above the form.
    pub setup_text: &'static str,
    /// Button.
    pub setup_button: &'static str,
    /// The link is of no use.
    pub setup_used_title: &'static str,
    /// What to do.
    pub setup_used_text: &'static str,
    /// Label.
    pub repeat: &'static str,
    /// They differ.
    pub differ: &'static str,
    /// A figure in words.
    pub password_rule: fn(usize) -> String,
    /// Role.
    pub role_learner: &'static str,
    /// Role.
    pub role_instructor: &'static str,
    /// Role.
    pub role_operator: &'static str,
    /// Heading and button.
    pub change_password: &'static str,
    /// Label.
    pub old_password: &'static str,
    /// Label.
    pub new_password: &'static str,
    /// Done.
    pub changed: &'static str,
    /// Account without a password.
    pub by_oidc: &'static str,
    /// Below the title.
    pub accounts_text: &'static str,
    /// Button.
    pub invite_instructor: &'static str,
    /// Button.
    pub invite_operator: &'static str,
    /// Heading.
    pub link_title: &'static str,
    /// A figure in words.
    pub link_text: fn(&str) -> String,
    /// Column.
    pub role: &'static str,
    /// Column.
    pub created: &'static str,
    /// Column.
    pub last_used: &'static str,
    /// Marks one's own.
    pub you: &'static str,
    /// Button.
    pub remove: &'static str,
    /// Question.
    pub remove_account_q: &'static str,
    /// What that does.
    pub remove_account_c: &'static str,
    /// Button and title.
    pub new_class: &'static str,
    /// Empty list.
    pub no_class_title: &'static str,
    /// What a class is.
    pub no_class_text: &'static str,
    /// State.
    pub planned: &'static str,
    /// State.
    pub open: &'static str,
    /// State.
    pub paused: &'static str,
    /// State.
    pub over: &'static str,
    /// Join code.
    pub code: &'static str,
    /// Label.
    pub begins: &'static str,
    /// Label.
    pub ends: &'static str,
    /// A figure in words.
    pub joined: fn(usize, usize) -> String,
    /// Label.
    pub class_title: &'static str,
    /// Label.
    pub class_lessons: &'static str,
    /// Nothing chosen.
    pub class_playground: &'static str,
    /// Label.
    pub when: &'static str,
    /// Choice.
    pub now: &'static str,
    /// Choice.
    pub later: &'static str,
    /// Label.
    pub length: &'static str,
    /// Label.
    pub size: &'static str,
    /// Label.
    pub workers: &'static str,
    /// Lessons decide.
    pub workers_own: &'static str,
    /// Button.
    pub create: &'static str,
    /// Below the time.
    pub ready_before: &'static str,
    /// Button.
    pub begin: &'static str,
    /// Button.
    pub pause: &'static str,
    /// What pausing does.
    pub pause_help: &'static str,
    /// Button.
    pub resume: &'static str,
    /// Button.
    pub end: &'static str,
    /// Question.
    pub end_q: &'static str,
    /// What that does.
    pub end_c: &'static str,
    /// Button.
    pub remove_class: &'static str,
    /// Question.
    pub remove_class_q: &'static str,
    /// What that does.
    pub remove_class_c: &'static str,
    /// Button.
    pub csv: &'static str,
    /// Button.
    pub show_code: &'static str,
    /// Button.
    pub hide_code: &'static str,
    /// Above the address.
    pub join_at: &'static str,
    /// Above the code.
    pub join_code: &'static str,
    /// Name of the QR code.
    pub qr: &'static str,
    /// Button.
    pub copy_link: &'static str,
    /// A figure in words.
    pub here: fn(usize, usize) -> String,
    /// Label.
    pub time_left: &'static str,
    /// Label.
    pub begins_in: &'static str,
    /// A figure in words.
    pub extend_by: fn(usize) -> String,
    /// A figure in words.
    pub kept_until: fn(&str) -> String,
    /// No learner yet.
    pub nobody_title: &'static str,
    /// What to do.
    pub nobody_text: &'static str,
    /// Name of the grid.
    pub learners: &'static str,
    /// Name of the region.
    pub lesson_bar: &'static str,
    /// A figure in words.
    pub lesson_of: fn(usize, usize) -> String,
    /// Button.
    pub next_lesson: &'static str,
    /// Button.
    pub previous_lesson: &'static str,
    /// Question.
    pub move_q: &'static str,
    /// What that does.
    pub move_c: &'static str,
    /// Button.
    pub move_ask: &'static str,
    /// Button.
    pub move_all: &'static str,
    /// The stream broke.
    pub live_lost: &'static str,
    /// Look.
    pub hand: &'static str,
    /// Look.
    pub failing: &'static str,
    /// Look.
    pub slow: &'static str,
    /// Look.
    pub well: &'static str,
    /// Look.
    pub finished: &'static str,
    /// Look.
    pub waiting: &'static str,
    /// Look.
    pub starting: &'static str,
    /// Look.
    pub away: &'static str,
    /// Look.
    pub broken: &'static str,
    /// Look.
    pub ended: &'static str,
    /// Playground.
    pub no_step: &'static str,
    /// Nothing typed.
    pub no_command: &'static str,
    /// Label of the time.
    pub on_step: &'static str,
    /// A figure in words.
    pub attempts: fn(usize) -> String,
    /// Mark.
    pub watched: &'static str,
    /// A figure in words.
    pub open_learner: fn(&str) -> String,
    /// Heading.
    pub tell: &'static str,
    /// A figure in words.
    pub tell_one: fn(&str) -> String,
    /// Kind.
    pub message: &'static str,
    /// Kind.
    pub command: &'static str,
    /// Kind.
    pub hint: &'static str,
    /// Label.
    pub tell_message: &'static str,
    /// Label.
    pub tell_command: &'static str,
    /// Button.
    pub send: &'static str,
    /// Done.
    pub sent: &'static str,
    /// Heading.
    pub told: &'static str,
    /// Empty list.
    pub told_none: &'static str,
    /// For whom.
    pub to_all: &'static str,
    /// Button.
    pub take_back: &'static str,
    /// Nothing to see.
    pub watch_none: &'static str,
    /// Name for screen readers.
    pub watch_label: &'static str,
    /// State.
    pub read_only: &'static str,
    /// Button.
    pub joint_ask: &'static str,
    /// State.
    pub joint_asked: &'static str,
    /// State.
    pub joint_on: &'static str,
    /// State.
    pub joint_no: &'static str,
    /// Button.
    pub joint_end: &'static str,
    /// Button.
    pub lower_hand: &'static str,
    /// Button.
    pub remove_learner: &'static str,
    /// Question.
    pub remove_learner_q: &'static str,
    /// What that does.
    pub remove_learner_c: &'static str,
    /// The learner is gone.
    pub gone_title: &'static str,
    /// No warning.
    pub all_well: &'static str,
    /// Heading.
    pub warnings: &'static str,
    /// Warning.
    pub warn_disk_low: &'static str,
    /// Warning.
    pub warn_memory_low: &'static str,
    /// Warning.
    pub warn_database_slow: &'static str,
    /// Warning.
    pub warn_sessions_failing: &'static str,
    /// Warning.
    pub warn_places_taken: &'static str,
    /// Figure.
    pub cpu: &'static str,
    /// Figure.
    pub memory: &'static str,
    /// Figure.
    pub disk: &'static str,
    /// Figure.
    pub queue: &'static str,
    /// A figure in words.
    pub queue_oldest: fn(&str) -> String,
    /// Figure.
    pub starts: &'static str,
    /// Figure.
    pub start_time: &'static str,
    /// A figure in words.
    pub slowest: fn(&str) -> String,
    /// Figure.
    pub terminals: &'static str,
    /// Figure.
    pub requests: &'static str,
    /// Figure.
    pub requests_failed: &'static str,
    /// Heading.
    pub process: &'static str,
    /// Figure.
    pub version: &'static str,
    /// Figure.
    pub up_since: &'static str,
    /// Figure.
    pub open_files: &'static str,
    /// Figure.
    pub database: &'static str,
    /// Figure.
    pub pids: &'static str,
    /// A figure in words.
    pub of_all: fn(&str, &str) -> String,
    /// Heading.
    pub routes: &'static str,
    /// Column.
    pub route: &'static str,
    /// Column.
    pub times: &'static str,
    /// Column.
    pub half: &'static str,
    /// Column.
    pub nearly_all: &'static str,
    /// Column.
    pub refused: &'static str,
    /// Column.
    pub failed: &'static str,
    /// Label of the choice.
    pub period: &'static str,
    /// A figure in words.
    pub hours: fn(u32) -> String,
    /// No data.
    pub no_samples: &'static str,
    /// A figure in words.
    pub plot_says: fn(&str, &str, &str) -> String,
    /// Column.
    pub session: &'static str,
    /// Column.
    pub lesson: &'static str,
    /// Column.
    pub state: &'static str,
    /// Column.
    pub nodes: &'static str,
    /// Column.
    pub started_in: &'static str,
    /// Empty list.
    pub no_sessions: &'static str,
    /// Button.
    pub end_session: &'static str,
    /// Question.
    pub end_session_q: &'static str,
    /// What that does.
    pub end_session_c: &'static str,
    /// State.
    pub s_pending: &'static str,
    /// State.
    pub s_starting: &'static str,
    /// State.
    pub s_ready: &'static str,
    /// State.
    pub s_suspended: &'static str,
    /// State.
    pub s_ending: &'static str,
    /// State.
    pub s_ended: &'static str,
    /// State.
    pub s_failed: &'static str,
    /// Column.
    pub at: &'static str,
    /// Column.
    pub who: &'static str,
    /// Column.
    pub what: &'static str,
    /// Column.
    pub object: &'static str,
    /// Column.
    pub from: &'static str,
    /// Column.
    pub outcome: &'static str,
    /// Nobody signed in.
    pub anonymous: &'static str,
    /// Button.
    pub older: &'static str,
    /// Button.
    pub newer: &'static str,
    /// Empty list.
    pub no_deeds: &'static str,
}

/// The texts of a language.
#[must_use]
pub const fn staff_texts(language: Language) -> &'static StaffTexts {
    match language {
        Language::English => &en::TEXTS,
        Language::TraditionalChinese => &zh_tw::TEXTS,
        Language::SimplifiedChinese => &zh_cn::TEXTS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_of_a_failed_sign_in_has_a_sentence_of_its_own_in_each_language() {
        let mut all = std::collections::BTreeSet::new();
        for language in Language::ALL {
            for failure in SignInFailure::ALL {
                assert_eq!(SignInFailure::read(failure.word()), Some(failure));
                let sentence = (staff_texts(language).sign_in_failed)(failure);
                assert!(sentence.ends_with(['.', '。']), "{language:?} {failure:?}: {sentence:?}");
                assert!(all.insert(sentence), "{language:?} {failure:?}: {sentence:?} is said twice");
            }
        }
        assert_eq!(SignInFailure::read("anything else"), None);
    }
}
