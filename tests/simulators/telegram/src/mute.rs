//! A platform that answers as if it had done what it was asked, and has not: whoever trusts its answers alone is found out.

use crate::bot::State;

impl State {
    /// Does something and takes it back, but for the numbers that were given away: they name nothing from now on.
    pub fn without_effect<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let (chats, files) = (self.chats.clone(), self.files.clone());
        let (presses, menu) = (self.presses.clone(), self.menu.clone());
        let told = work(self);
        let numbered = std::mem::replace(&mut self.chats, chats);
        self.chats.number_on_from(&numbered);
        let used = std::mem::replace(&mut self.files, files);
        self.files.number_on_from(&used);
        (self.presses, self.menu) = (presses, menu);
        told
    }
}
