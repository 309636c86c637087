//! The tabs of the lower pane, on one or two sides: shells and files. Pure; the page applies it.

use serde::{Deserialize, Serialize};

/// The learner's own machine.
pub const WORKSTATION: &str = "workstation";

/// What a tab shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A shell on this node.
    Shell(String),
    /// The file of the home folder with this path.
    File(String),
}

/// A tab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tab {
    /// Identifier; that of a shell is also its terminal's.
    pub id: String,
    /// What it shows.
    pub what: What,
    /// The name that the learner gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Side, 0 or 1.
    pub side: usize,
}

impl Tab {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match (&self.title, &self.what) {
            (Some(title), _) => title,
            (None, What::Shell(_)) => &self.id,
            (None, What::File(path)) => path.rsplit('/').next().unwrap_or(path),
        }
    }
}

/// All tabs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tabs {
    list: Vec<Tab>,
    /// The tab on show, by side.
    shown: [String; 2],
    /// The side that was used last.
    side: usize,
}

impl Default for Tabs {
    /// A shell on the workstation.
    fn default() -> Self {
        let what = What::Shell(WORKSTATION.to_owned());
        let tab = Tab { id: WORKSTATION.to_owned(), what, title: None, side: 0 };
        Self { list: vec![tab], shown: [WORKSTATION.to_owned(), String::new()], side: 0 }
    }
}

impl Tabs {
    /// What was remembered, if it makes sense.
    #[must_use]
    pub fn remembered(text: Option<&str>) -> Self {
        let tabs = text.and_then(|it| serde_json::from_str::<Self>(it).ok()).unwrap_or_default();
        tabs.sound()
    }

    /// What to remember.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The tabs of a side.
    pub fn on(&self, side: usize) -> impl Iterator<Item = &Tab> {
        self.list.iter().filter(move |it| it.side == side)
    }

    /// A tab.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Tab> {
        self.list.iter().find(|it| it.id == id)
    }

    /// The tab on show on a side.
    #[must_use]
    pub fn shown(&self, side: usize) -> Option<&Tab> {
        self.get(&self.shown[side & 1]).filter(|it| it.side == side)
    }

    /// Whether both sides have tabs.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.on(1).next().is_some()
    }

    /// The side that was used last.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// Whether a tab may be closed: something has to stay.
    #[must_use]
    pub fn can_close(&self) -> bool {
        self.list.len() > 1
    }

    /// What is opened next comes to this side.
    pub fn show_side(&mut self, side: usize) {
        self.side = side & 1;
    }

    /// Puts a tab on show.
    pub fn show(&mut self, id: &str) {
        if let Some(side) = self.get(id).map(|it| it.side) {
            self.shown[side] = id.to_owned();
            self.side = side;
        }
    }

    /// The shell on `node` that a command goes to, put on show: one on show, else any, else a new one.
    pub fn shell(&mut self, node: &str) -> String {
        let is_shell = |it: &&Tab| it.what == What::Shell(node.to_owned());
        let sides = [self.side, 1 - self.side];
        let on_show = sides.into_iter().filter_map(|side| self.shown(side)).find(is_shell);
        match on_show.or_else(|| self.list.iter().find(is_shell)).map(|it| it.id.clone()) {
            Some(id) => {
                self.show(&id);
                id
            }
            None => self.new_shell(node, self.side),
        }
    }

    /// Opens one more shell on `node`.
    pub fn new_shell(&mut self, node: &str, side: usize) -> String {
        let numbered = (2..).map(|number| format!("{node}-{number}"));
        let free = |id: &String| self.get(id).is_none();
        // The numbers never run out before memory does.
        let id = std::iter::once(node.to_owned()).chain(numbered).find(free).unwrap_or_default();
        self.add(Tab { id, what: What::Shell(node.to_owned()), title: None, side })
    }

    /// Opens a file, or shows the tab that has it.
    pub fn file(&mut self, path: &str) -> String {
        let id = format!("file:{path}");
        if self.get(&id).is_some() {
            self.show(&id);
            return id;
        }
        self.add(Tab { id, what: What::File(path.to_owned()), title: None, side: self.side })
    }

    /// Gives a file's tab another path.
    pub fn move_file(&mut self, id: &str, path: &str) {
        let next = format!("file:{path}");
        if next != id && self.get(&next).is_some() {
            self.close(&next);
        }
        if let Some(tab) = self.list.iter_mut().find(|it| it.id == id) {
            (tab.id, tab.what, tab.title) = (next.clone(), What::File(path.to_owned()), None);
            self.show(&next);
        }
    }

    /// A name for a new file that no tab has.
    #[must_use]
    pub fn new_file_name(&self) -> String {
        let numbered = (2..).map(|number| format!("new-{number}.yaml"));
        let free = |path: &String| self.get(&format!("file:{path}")).is_none();
        std::iter::once("new.yaml".to_owned()).chain(numbered).find(free).unwrap_or_default()
    }

    fn add(&mut self, tab: Tab) -> String {
        let id = tab.id.clone();
        self.list.push(tab);
        self.show(&id);
        id
    }

    /// Opens a shell beside the others.
    pub fn split(&mut self) -> String {
        self.new_shell(WORKSTATION, 1)
    }

    /// Moves a tab to the other side.
    pub fn shift(&mut self, id: &str) {
        if let Some(at) = self.list.iter().position(|it| it.id == id) {
            let mut tab = self.list.remove(at);
            tab.side = 1 - tab.side;
            self.list.push(tab);
            self.show(id);
            *self = std::mem::take(self).sound();
        }
    }

    /// Closes a tab; a neighbour takes its place.
    pub fn close(&mut self, id: &str) {
        let Some(tab) = self.get(id).cloned().filter(|_| self.can_close()) else { return };
        let beside: Vec<&Tab> = self.on(tab.side).collect();
        let at = beside.iter().position(|it| it.id == id).unwrap_or(0);
        let next = beside.get(at + 1).or_else(|| beside.get(at.wrapping_sub(1))).map(|it| it.id.clone());
        if self.shown[tab.side] == id {
            self.shown[tab.side] = next.unwrap_or_default();
        }
        self.list.retain(|it| it.id != id);
        *self = std::mem::take(self).sound();
    }

    /// Gives a tab a name; an empty one takes it away.
    pub fn rename(&mut self, id: &str, title: &str) {
        let title: String = title.trim().chars().take(40).collect();
        if let Some(tab) = self.list.iter_mut().find(|it| it.id == id) {
            tab.title = Some(title).filter(|it| !it.is_empty());
        }
    }

    /// The tab `step` to the right of the one on show on a side, around its ends.
    #[must_use]
    pub fn beside(&self, side: usize, step: isize) -> Option<String> {
        let ids: Vec<&Tab> = self.on(side).collect();
        let here = ids.iter().position(|it| it.id == self.shown[side & 1]).unwrap_or(0);
        let next = here.checked_add_signed(step.rem_euclid(ids.len().max(1) as isize))? % ids.len().max(1);
        ids.get(next).map(|it| it.id.clone())
    }

    /// Every side shows a tab of its own, the first side is never empty, no tab is there twice.
    fn sound(mut self) -> Self {
        let mut known = Vec::new();
        self.list.retain(|it| {
            it.side < 2 && !it.id.is_empty() && !known.contains(&it.id) && {
                known.push(it.id.clone());
                true
            }
        });
        if self.list.is_empty() {
            return Self::default();
        }
        if self.on(0).next().is_none() {
            self.list.iter_mut().for_each(|it| it.side = 0);
            self.shown.swap(0, 1);
        }
        for side in 0..2 {
            if self.shown(side).is_none() {
                let first = self.on(side).next().map(|it| it.id.clone());
                self.shown[side] = first.unwrap_or_default();
            }
        }
        if self.side > 1 || self.on(self.side).next().is_none() {
            self.side = 0;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `left*|right*`, the ones on show marked.
    #[track_caller]
    fn check(tabs: &Tabs, expected: &str) {
        let side = |side: usize| {
            let name = |it: &Tab| format!("{}{}", it.id, if tabs.shown[side] == it.id { "*" } else { "" });
            tabs.on(side).map(name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(format!("{}|{}", side(0), side(1)), expected);
        assert_eq!(&Tabs::remembered(Some(&tabs.to_text())), tabs);
    }

    #[test]
    fn commands_find_their_shell() {
        let mut tabs = Tabs::default();
        assert_eq!(tabs.shell("workstation"), "workstation");
        assert_eq!(tabs.shell("worker-1"), "worker-1");
        assert_eq!(tabs.new_shell("worker-1", 0), "worker-1-2");
        assert_eq!(tabs.shell("worker-1"), "worker-1-2");
        check(&tabs, "workstation worker-1 worker-1-2*|");
        tabs.file("lab/web.yaml");
        assert_eq!(tabs.shell("worker-1"), "worker-1");
        check(&tabs, "workstation worker-1* worker-1-2 file:lab/web.yaml|");
    }

    #[test]
    fn sides_come_and_go() {
        let mut tabs = Tabs::default();
        assert_eq!(tabs.split(), "workstation-2");
        check(&tabs, "workstation*|workstation-2*");
        tabs.file("web.yaml");
        check(&tabs, "workstation*|workstation-2 file:web.yaml*");
        tabs.shift("workstation-2");
        check(&tabs, "workstation workstation-2*|file:web.yaml*");
        tabs.close("workstation-2");
        tabs.close("workstation");
        check(&tabs, "file:web.yaml*|");
        tabs.close("file:web.yaml");
        check(&tabs, "file:web.yaml*|");
    }

    #[test]
    fn arrows_walk_around() {
        let mut tabs = Tabs::default();
        tabs.shell("master");
        assert_eq!(tabs.beside(0, 1).as_deref(), Some("workstation"));
        assert_eq!(tabs.beside(0, -1).as_deref(), Some("workstation"));
        assert_eq!(tabs.beside(1, 1), None);
    }

    #[test]
    fn names() {
        let mut tabs = Tabs::default();
        tabs.rename("workstation", "  build  ");
        assert_eq!(tabs.get("workstation").map(Tab::name), Some("build"));
        tabs.rename("workstation", "");
        assert_eq!(tabs.get("workstation").map(Tab::name), Some("workstation"));
        let id = tabs.file("lab/web.yaml");
        assert_eq!(tabs.get(&id).map(Tab::name), Some("web.yaml"));
        assert_eq!(tabs.new_file_name(), "new.yaml");
        tabs.file("b.yaml");
        tabs.move_file("file:b.yaml", "lab/web.yaml");
        check(&tabs, "workstation file:lab/web.yaml*|");
    }

    #[test]
    fn nonsense_is_forgotten() {
        for text in [
            r#"{"list":[],"shown":["",""],"side":7}"#,
            "x",
            r#"{"list":[{"id":"a","what":{"shell":"a"},"side":9}],"shown":["",""],"side":1}"#,
        ] {
            check(&Tabs::remembered(Some(text)), "workstation*|");
        }
    }
}
