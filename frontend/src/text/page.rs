//! What the session page says: lesson pane, terminals, editor, files, start of a playground.

mod en;
mod zh_cn;
mod zh_tw;

pub(super) use en::PAGE as EN;
pub(super) use zh_cn::PAGE as ZH_CN;
pub(super) use zh_tw::PAGE as ZH_TW;

/// The texts.
#[derive(Debug)]
pub struct PageTexts {
    /// A lesson in which something is broken.
    pub challenge: &'static str,
    /// What a challenge is.
    pub challenge_text: &'static str,
    /// A step waits for others; their titles follow.
    pub needs: &'static str,
    /// Heading of a question.
    pub quiz: &'static str,
    /// Several answers may be right.
    pub quiz_many: &'static str,
    /// Sends an answer.
    pub quiz_check: &'static str,
    /// While it is sent.
    pub quiz_checking: &'static str,
    /// The answer is right.
    pub quiz_right: &'static str,
    /// The answer is wrong.
    pub quiz_wrong: &'static str,
    /// Title of a hint about this learner's cluster.
    pub hint_live: &'static str,
    /// The step is done.
    pub step_done: &'static str,
    /// Opens a block's file in the editor.
    pub open_editor: &'static str,
    /// The lesson's text is in English.
    pub lesson_in_english: &'static str,
    /// Word for a check that could not be evaluated.
    pub check_error: &'static str,
    /// Opens the menu of new tabs.
    pub new_menu: &'static str,
    /// Opens the menu of what can be done with the tab.
    pub tab_menu: &'static str,
    /// Heading of shells in a menu.
    pub shell_on: &'static str,
    /// Makes a file.
    pub new_file: &'static str,
    /// Shows the files.
    pub files: &'static str,
    /// Takes a file in.
    pub upload: &'static str,
    /// Gives a file out.
    pub download: &'static str,
    /// Opens a file.
    pub open: &'static str,
    /// Where the files are.
    pub files_text: &'static str,
    /// There are none.
    pub files_none: &'static str,
    /// There are more than are listed.
    pub files_more: &'static str,
    /// Opens a second side.
    pub split: &'static str,
    /// Moves a tab to the other side.
    pub shift: &'static str,
    /// Gives a tab a name.
    pub rename: &'static str,
    /// Label of the field for it.
    pub tab_name: &'static str,
    /// Shown while a file is dragged over the terminals.
    pub drop: &'static str,
    /// Name of a splitter.
    pub resize_sides: &'static str,
    /// Name of the editor for screen readers.
    pub editor: &'static str,
    /// Label of the file's path.
    pub file_path: &'static str,
    /// Saves.
    pub save: &'static str,
    /// After saving.
    pub saved: &'static str,
    /// Not saved yet.
    pub unsaved: &'static str,
    /// `kubectl apply`.
    pub apply: &'static str,
    /// `kubectl diff`.
    pub diff: &'static str,
    /// While kubectl works.
    pub working: &'static str,
    /// Applied.
    pub applied: &'static str,
    /// kubectl complains.
    pub refused: &'static str,
    /// No difference.
    pub same: &'static str,
    /// Differences.
    pub differs: &'static str,
    /// The file is no text.
    pub not_text: &'static str,
    /// The file holds something else than when it was opened, and so does the editor.
    pub changed_on_disk: &'static str,
    /// Takes over what the file holds.
    pub load_disk: &'static str,
    /// The editor could not be loaded.
    pub editor_failed: &'static str,
    /// Label of the choice of workers.
    pub workers: &'static str,
    /// How the page is used by keyboard.
    pub walk_help: &'static str,
    /// Heading of the page of who waits.
    pub queue_title: &'static str,
    /// What to do meanwhile.
    pub queue_text: &'static str,
    /// Gives up the place.
    pub queue_leave: &'static str,
    /// What is waited for, in the order of [`drydock_protocol::WaitsFor`].
    pub waits_for: [&'static str; 5],
    /// The session's processes are frozen.
    pub asleep: &'static str,
    /// Lets them go on.
    pub wake: &'static str,
    /// Gives out what the learner made.
    pub manifests: &'static str,
    /// This person has as many sessions as one may have.
    pub too_many: &'static str,
    /// Why a session is over, in the order of [`drydock_protocol::EndReason`]; nothing where the server's own words say more.
    pub ended: [&'static str; 8],
    /// A place in the queue.
    pub queue_position: fn(u32) -> String,
    /// How long it takes, in milliseconds.
    pub queue_wait: fn(Option<u64>) -> String,
    /// Number of workers.
    pub worker_count: fn(usize) -> String,
    /// A file arrived; its path.
    pub uploaded: fn(&str) -> String,
    /// A program in the shell offers a file; its path.
    pub offered: fn(&str) -> String,
    /// A file did not arrive; its name and why.
    pub not_uploaded: fn(&str, &str) -> String,
    /// A file is too large; its name and the limit in MB.
    pub too_large: fn(&str, u64) -> String,
    /// A line of the text.
    pub line: fn(u32) -> String,
    /// Steps done, of all.
    pub done_of: fn(usize, usize) -> String,
}
