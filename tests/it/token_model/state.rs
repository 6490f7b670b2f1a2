//! A state of the model: the row, everybody who uses it, WeChat, and the time.

use std::sync::LazyLock;
use std::time::Duration;

use shared::clock::Moment;
use shared::store::tokens::protocol::{self, CLAIM, Failure, Held, LEASE, Reason, Watched};
use shared::wechat::{TokenHash, TokenValue};

/// The time moves on by this much at once: by a claim, or half a lease.
pub(super) const TICK: Duration = CLAIM;
const _: () = assert!(LEASE.as_millis() == 2 * TICK.as_millis());

/// How long a value lives that WeChat gives. Source: "Get stable access token".
const LIFE: Duration = Duration::from_secs(7200);

/// When the model begins, by a clock that is right.
const BEGIN_TICKS: u64 = 1000;

/// How many ticks a clock is ahead.
pub(super) type Skew = i8;
/// The values are numbered in the order in which WeChat makes them.
pub(super) type Number = u8;
/// A version of the row.
pub(super) type Version = u8;
/// The place of a refresher or reader among all of its kind.
pub(super) type Index = usize;

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) ticks: u8,
    pub(super) row: Row,
    pub(super) wechat: Wechat,
    pub(super) refreshers: Vec<Refresher>,
    pub(super) readers: Vec<Reader>,
    /// How much may go wrong yet.
    pub(super) faults: u8,
    pub(super) failures: u8,
    pub(super) revokes: u8,
    /// How often WeChat was asked, up to 2.
    pub(super) calls: u8,
    /// How often a reader has invoked a refresher, up to 2.
    pub(super) invocations: u8,
    /// The first rule that somebody broke.
    pub(super) breach: Option<Breach>,
}

/// What nobody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Breach {
    /// Wrote what came of a refresh when somebody else had the lease.
    WroteWithoutLease,
    /// Put an older value in the place of a newer one.
    WroteOlderValue,
    /// Used the value that WeChat had refused.
    UsedRefused,
    /// Was content with a row that has not what was wanted.
    WasContent,
    /// Claimed, or took the lease, though the row had what was wanted.
    AskedNeedlessly,
    /// Waited for a row that it had seen unchanged for as long as a lease and a claim last.
    WaitedTooLong,
}

/// The values that WeChat gives: in normal mode the same one to all, until it is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wechat {
    /// The one that it gives.
    pub(super) current: Number,
    /// The oldest one that it accepts.
    pub(super) oldest: Number,
}

/// A row as `store::tokens` writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) version: Version,
    pub(super) value_version: Version,
    pub(super) value: Option<Value>,
    pub(super) leased_until: Option<Moment>,
    pub(super) claimed_until: Option<Moment>,
    /// How many failures there were in a row, and until when nobody asks.
    pub(super) failure: Option<(u32, Moment)>,
    pub(super) stands_by: Option<(Number, Moment)>,
    /// Which refresher took the lease last.
    pub(super) writer: Option<Index>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Value {
    pub(super) number: Number,
    pub(super) obtained_at: Moment,
    pub(super) expires_at: Moment,
}

/// `protocol::Want`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Want {
    Anew { since: Version },
    NotDue,
    Other(Number),
    Usable,
}

/// `protocol::Watch`: what was seen, and since which tick. It counts real time, whatever the clock says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Watch {
    version: Option<(Version, u8)>,
    claim: Option<(Option<Moment>, u8)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refresher {
    pub(super) skew: Skew,
    pub(super) step: RefresherAt,
}

/// Where a refresher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RefresherAt {
    /// Not invoked, or at its end.
    Idle,
    /// Invoked by a person: about to see which version there is.
    Asked,
    /// About to look at the row.
    Looking { want: Want, watch: Watch },
    /// About to take the lease, of a row that was at this version at this time.
    Taking { want: Want, seen: Version, now: Moment },
    /// Has taken the lease, which made it this version, and waits for WeChat.
    Asking { want: Want, lease: Version, asked_at: Moment },
    /// About to write what came of it.
    Settling { want: Want, lease: Version, asked_at: Moment, answer: Option<Number> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reader {
    pub(super) skew: Skew,
    pub(super) step: ReaderAt,
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ReaderAt {
    /// About to look at the row.
    Looking { want: Want, watch: Watch },
    /// About to claim, if the row still has this version and claim.
    Claiming { want: Want, watch: Watch, seen: (Version, Option<Moment>), now: Moment },
    /// Has claimed, and is about to invoke a refresher.
    Invoking { want: Want, watch: Watch },
    /// Waits for the end of the invocation.
    Waiting { want: Want, watch: Watch, refresher: Index },
    /// Has made its call with a value, or was told that WeChat stands by the one that it refuses.
    Done(Option<Number>),
}

impl State {
    /// What a clock shows that is ahead by `skew`.
    pub(super) fn now(&self, skew: Skew) -> Moment {
        let ticks = (BEGIN_TICKS + u64::from(self.ticks)).saturating_add_signed(skew.into());
        Moment::from_millis(0) + TICK * u32::try_from(ticks).unwrap()
    }

    /// Whether nobody has anything left to do.
    pub(super) fn is_over(&self) -> bool {
        self.refreshers.iter().all(|refresher| refresher.step == RefresherAt::Idle)
            && self.readers.iter().all(|reader| matches!(reader.step, ReaderAt::Done(_)))
    }
}

impl Row {
    /// A row with the first value, obtained so long before `now` that so much of its life is left.
    pub(super) fn with_first_value(now: Moment, left: Duration) -> Self {
        let value = Some(Value { number: 1, obtained_at: now, expires_at: now + left });
        Self { version: 1, value_version: 1, value, ..Self::default() }
    }

    /// The row that the production code decides upon.
    pub(super) fn production(&self) -> protocol::Row {
        protocol::Row {
            version: self.version.into(),
            value_version: self.value_version.into(),
            value: self.value.map(Value::production),
            leased_until: self.leased_until,
            claimed_until: self.claimed_until,
            failure: self.failure.map(|(times, not_before)| Failure { reason: Reason::NoAnswer, times, not_before }),
            stands_by: self.stands_by.map(|(number, until)| (hash(number), until)),
            // It decides nothing here.
            wanted_at: None,
        }
    }
}

impl Value {
    /// The value that WeChat gives to whoever asks at `asked_at`.
    pub(super) fn issued(number: Number, asked_at: Moment) -> Self {
        Self { number, obtained_at: asked_at, expires_at: asked_at + LIFE }
    }

    pub(super) fn production(self) -> Held {
        let Self { number, obtained_at, expires_at } = self;
        Held { value: token(number), obtained_at, expires_at }
    }
}

impl Want {
    pub(super) fn production(self) -> protocol::Want {
        match self {
            Self::Anew { since } => protocol::Want::Anew { since: since.into() },
            Self::NotDue => protocol::Want::NotDue,
            Self::Other(number) => protocol::Want::Other(hash(number)),
            Self::Usable => protocol::Want::Usable,
        }
    }
}

impl Watch {
    /// `protocol::Watch::see`.
    pub(super) fn see(&mut self, row: &Row, ticks: u8) -> Watched {
        Watched {
            version: same(&mut self.version, row.version, ticks),
            claim: same(&mut self.claim, row.claimed_until, ticks),
        }
    }

    /// As a refresher sees it, who does not care for claims.
    pub(super) fn see_version(&mut self, row: &Row, ticks: u8) -> Watched {
        Watched { version: same(&mut self.version, row.version, ticks), claim: Duration::ZERO }
    }
}

fn same<T: PartialEq>(seen: &mut Option<(T, u8)>, value: T, ticks: u8) -> Duration {
    match seen {
        Some((before, since)) if *before == value => TICK * u32::from(ticks - *since),
        _ => {
            *seen = Some((value, ticks));
            Duration::ZERO
        }
    }
}

/// The text of a value.
pub(super) fn token(number: Number) -> TokenValue {
    TokenValue::new(format!("value {number}"))
}

fn hash(number: Number) -> TokenHash {
    static HASHES: LazyLock<Vec<TokenHash>> = LazyLock::new(|| (0..8).map(|number| token(number).hash()).collect());
    HASHES[usize::from(number)].clone()
}
