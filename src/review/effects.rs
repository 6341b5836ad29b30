//! [`Effects`]: what a decision about two images does to their splits.

use isn_format::recipe::{Earlier, SplitPolicy, SplitSpec};
use isn_format::split::Split;

/// What follows from each decision, in words.
#[derive(Debug)]
pub(super) struct Effects {
    pub(super) same: String,
    pub(super) different: &'static str,
    pub(super) unsure: &'static str,
}

impl Effects {
    /// Of two images with these splits. If they are those of a recipe's source, `division` is how the recipe
    /// divides it.
    pub(super) fn of(division: Option<&SplitSpec>, splits: [Option<Split>; 2]) -> Effects {
        // A source without splits is all train.
        let [a, b] = splits.map(|split| split.unwrap_or(Split::Train));
        Effects {
            same: division.map_or_else(|| GENERAL.to_owned(), |division| same(division, a, b)),
            different: "They may be in two splits, and no audit tells them again.",
            unsure: "Nothing, unless another reviewer is sure.",
        }
    }
}

const GENERAL: &str = "They may not be in two splits. If the recipe draws the splits, they are drawn into one; \
                       if it keeps those of the source, and these are two, a build stops until one image is \
                       removed.";

/// What becomes of two images of one group, of which the source has one in `a` and one in `b`.
fn same(division: &SplitSpec, a: Split, b: Split) -> String {
    let draws = !matches!(division.policy, SplitPolicy::Keep);
    if let Some(earlier) = &division.previous {
        let of = match earlier {
            Earlier::Version(version) => format!("version {version}"),
            Earlier::Assignments(_) => "the earlier version".into(),
        };
        let two = if draws {
            "both become train; if one was val the publish stops, and if one is test the build, until one is removed"
        } else {
            "the build stops until one is removed"
        };
        return format!("Each keeps its split of {of}, and a new image is train. If those are two, {two}.");
    }
    match &division.policy {
        _ if a == b && (!draws || a == Split::Test) => format!("Both are {a}, and stay so."),
        SplitPolicy::Keep => format!(
            "One is {a}, the other {b}, and this recipe keeps the splits of the source: the build stops until \
             one of them is removed in the ledger."
        ),
        _ if a == Split::Test || b == Split::Test => {
            let other = if a == Split::Test { b } else { a };
            format!(
                "One is test, which is never drawn, and the other {other}: the build stops until one of them is \
                 removed in the ledger."
            )
        }
        SplitPolicy::Pool(_) => "Both become train: images with copies are not drawn for val.".into(),
        SplitPolicy::TopUp(_) if a == Split::Val || b == Split::Val => {
            "Both become val, as in the source one of them is.".into()
        }
        SplitPolicy::TopUp(_) => {
            "Both become train, unless another of their group is val in the source.".into()
        }
        SplitPolicy::Threshold(_) => "They are drawn together: both become train, or both val.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::recipe::Draw;

    #[test]
    fn the_words_are_those_of_the_policy() {
        use Split::{Test, Train, Val};
        let spec = |policy, previous| SplitSpec { policy, previous, groups: None, pairs: None };
        let draw = || Draw { val: "0.2".parse().unwrap(), salt: "s".into() };
        let says = |spec: &SplitSpec, a, b, what: &str| {
            let same = Effects::of(Some(spec), [a, b]).same;
            assert!(same.contains(what), "{same}");
        };
        let keep = spec(SplitPolicy::Keep, None);
        says(&keep, Some(Val), Some(Val), "Both are val, and stay so");
        says(&keep, None, None, "Both are train, and stay so");
        says(&keep, Some(Train), Some(Val), "One is train, the other val, and this recipe keeps");
        let pool = spec(SplitPolicy::Pool(draw()), None);
        says(&pool, Some(Train), Some(Val), "Both become train");
        says(&pool, Some(Test), Some(Test), "Both are test");
        says(&pool, Some(Test), Some(Val), "One is test, which is never drawn, and the other val");
        let top_up = spec(SplitPolicy::TopUp(draw()), None);
        says(&top_up, Some(Train), Some(Val), "Both become val");
        says(&top_up, Some(Train), Some(Train), "Both become train, unless");
        says(&spec(SplitPolicy::Threshold(draw()), None), None, None, "drawn together");
        let earlier = Some(Earlier::Version("1.0".parse().unwrap()));
        says(
            &spec(SplitPolicy::Keep, earlier),
            None,
            None,
            "version 1.0, and a new image is train. If those are two, the build stops",
        );
        says(&spec(SplitPolicy::Pool(draw()), earlier), None, None, "both become train; if one was val");
        assert_eq!(Effects::of(None, [None, None]).same, GENERAL);
    }
}
