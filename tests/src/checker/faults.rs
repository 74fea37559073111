//! What the harness broke, read once for all invariants that excuse something: tests/README.md's table of
//! kinds and targets in Rust.

use super::logs::Run;

/// How far the database's and the observers' readings of one moment may lie apart.
pub const CLOCKS_APART_NS: i64 = 50_000_000;

/// A crash point is noted when the harness sees it, so it happened up to 1 s before.
const CRASH_SEEN_NS: i64 = 1_000_000_000;

/// What happened to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It ended.
    Kill,
    /// It stood still and went on.
    Freeze,
    /// Nothing passed.
    Cut,
    /// It was away.
    Outage,
}

/// Which way of a connector was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Postgres,
    Platform,
    Zookeeper,
}

/// What was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A connector, or what lies between it and a peer.
    Connector {
        account: Option<&'a str>,
        number: Option<&'a str>,
        peer: Option<Peer>,
    },
    Platform,
    Postgres,
    Zookeeper,
    /// No part of the way out: a chatserver, the loader, an agent, the proxy before them.
    Other,
}

/// One fault.
#[derive(Debug)]
pub struct Fault<'a> {
    pub kind: Kind,
    pub target: Target<'a>,
    /// What the process that was hit calls itself; `None`: whichever was active.
    holder: Option<&'a str>,
    pub t0: i64,
    /// When it was seen to begin: later than `t0` where only its trace was seen.
    pub seen: i64,
    /// `None`: not before the end of the run.
    pub t1: Option<i64>,
}

impl<'a> Target<'a> {
    /// A word, then `:` and what it concerns; `None` for a word that nobody defined.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut words = text.split(':');
        Some(match words.next().unwrap_or_default() {
            "platform" | "simulator" => Self::Platform,
            "postgres" => Self::Postgres,
            "zookeeper" => Self::Zookeeper,
            "chatserver" | "loader" | "agent" | "proxy" => Self::Other,
            "connector" => {
                let (account, number) = (words.next(), words.next());
                let (number, peer) = match number.and_then(|number| number.split_once('-')) {
                    Some((number, "postgres")) => (Some(number), Some(Peer::Postgres)),
                    Some((number, "platform")) => (Some(number), Some(Peer::Platform)),
                    Some((number, "zookeeper")) => (Some(number), Some(Peer::Zookeeper)),
                    Some(_) => return None,
                    None => (number, None),
                };
                Self::Connector { account, number, peer }
            }
            _ => return None,
        })
    }
}

impl Kind {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "kill" | "restart" => Self::Kill,
            "freeze" => Self::Freeze,
            "cut" => Self::Cut,
            "postgres_restart" | "zookeeper_outage" => Self::Outage,
            _ => return None,
        })
    }
}

impl Fault<'_> {
    /// Whether it can stand between an attempt and its answer. `holder` is who made the attempt, if known.
    /// What cuts ZooKeeper off delays no call and loses no answer.
    pub fn is_on_path(&self, account: &str, holder: Option<&str>) -> bool {
        match self.target {
            Target::Platform | Target::Postgres => true,
            Target::Connector { peer: Some(Peer::Zookeeper), .. } => false,
            Target::Connector { .. } => self.hit(account, holder),
            Target::Zookeeper | Target::Other => false,
        }
    }

    /// Whether it hit this account's connector that calls itself `holder`.
    pub fn hit(&self, account: &str, holder: Option<&str>) -> bool {
        let Target::Connector { account: hit, .. } = self.target else { return false };
        let same = |(own, other)| own == other;
        hit.is_none_or(|hit| hit == account) && self.holder.zip(holder).is_none_or(same)
    }

    /// Its end; a fault to the end of the run has none.
    pub fn end(&self) -> i64 {
        self.t1.unwrap_or(i64::MAX)
    }

    fn same_blow(&self, crash: &Self) -> bool {
        let near = (crash.t0..=crash.seen + CRASH_SEEN_NS).contains(&self.t0);
        let same = match (self.target, crash.target) {
            (Target::Connector { account: a, number: n, .. }, Target::Connector { account: b, number: m, .. }) => {
                a.zip(b).is_none_or(|(a, b)| a == b) && n.zip(m).is_none_or(|(n, m)| n == m)
            }
            (own, other) => own == other,
        };
        near && same && self.kind == crash.kind
    }
}

/// All faults of the run, and complaints about those that cannot be understood.
pub fn read(run: &Run) -> (Vec<Fault<'_>>, Vec<String>) {
    let (mut faults, mut complaints) = (Vec::new(), Vec::new());
    for line in &run.faults {
        let name = format!("{} {}", line.kind, line.id.as_deref().unwrap_or_default());
        match (Kind::read(&line.kind), Target::read(&line.target)) {
            (Some(kind), Some(target)) => {
                let (t0, t1, holder) = (line.t0, line.t1, line.holder.as_deref());
                faults.push(Fault { kind, target, holder, t0, seen: t0, t1 });
            }
            (None, _) => complaints.push(format!("{name}: kind `{}` is no word of tests/README.md", line.kind)),
            (_, None) => complaints.push(format!("{name}: target `{}` is no word of tests/README.md", line.target)),
        }
    }
    for line in &run.crash_points {
        let name = format!("crash point {}", line.name);
        let Some(target) = Target::read(&line.process) else {
            complaints.push(format!("{name}: target `{}` is no word of tests/README.md", line.process));
            continue;
        };
        let (kind, t1) = match line.how.as_deref() {
            Some("stop") => (Kind::Freeze, line.t1),
            _ => (Kind::Kill, Some(line.t)),
        };
        let t0 = line.t - CRASH_SEEN_NS;
        let crash = Fault { kind, target, holder: line.holder.as_deref(), t0, seen: line.t, t1 };
        // Written down twice, by two helpers of the harness, it is still one blow.
        if !faults.iter().any(|fault| fault.same_blow(&crash)) {
            faults.push(crash);
        }
    }
    (faults, complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_words_and_what_they_concern() {
        let connector = |account, number, peer| Some(Target::Connector { account, number, peer });
        assert_eq!(Target::read("connector"), connector(None, None, None));
        assert_eq!(Target::read("connector:sup-port"), connector(Some("sup-port"), None, None));
        assert_eq!(Target::read("connector:support:2"), connector(Some("support"), Some("2"), None));
        let cut = connector(Some("support"), Some("2"), Some(Peer::Postgres));
        assert_eq!(Target::read("connector:support:2-postgres"), cut);
        assert_eq!(Target::read("connector:support:2-banana"), None);
        assert_eq!(Target::read("zookeeper:1-2"), Some(Target::Zookeeper));
        assert_eq!(Target::read("banana"), None);
    }
}
