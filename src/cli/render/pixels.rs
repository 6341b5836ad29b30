//! What `isn audit duplicates`, `images`, `balance` and `all` print.

use serde_json::{Map, Value, json};

use super::Output;
use crate::cli::console::Page;
use isn_format::error::count;
use isn_format::split::Split;
use isn_registry::audit::health::Remark;
use isn_registry::ops::audit::Subject;
use isn_registry::ops::audit::balance::{ACCURACIES, BalanceReport};
use isn_registry::ops::audit::duplicates::{DuplicatesReport, Group};
use isn_registry::ops::audit::images::ImagesReport;

/// The text shows so many groups, and so many images of a kind; JSON has all.
const SHOWN: usize = 20;

impl Output {
    pub(in crate::cli) fn duplicates_audited(&self, subject: &Subject, report: &DuplicatesReport) {
        self.warn(&subject.warnings);
        self.print(&duplicates_text(report), with_what(subject, duplicates_json(subject, report)));
    }

    pub(in crate::cli) fn images_audited(&self, subject: &Subject, report: &ImagesReport) {
        self.warn(&subject.warnings);
        self.print(&images_text(subject, report), with_what(subject, images_json(subject, report)));
    }

    pub(in crate::cli) fn balance_audited(&self, subject: &Subject, report: &BalanceReport) {
        self.warn(&subject.warnings);
        self.print(&balance_text(subject, report), with_what(subject, balance_json(report)));
    }

    pub(in crate::cli) fn all_audited(
        &self,
        subject: &Subject,
        duplicates: &DuplicatesReport,
        images: &ImagesReport,
        balance: &BalanceReport,
    ) {
        self.warn(&subject.warnings);
        let mut text = duplicates_text(duplicates);
        for more in [images_text(subject, images), balance_text(subject, balance)] {
            text.blank();
            text.append(&more);
        }
        let mut object = duplicates_json(subject, duplicates);
        object.extend(images_json(subject, images));
        object.extend(balance_json(balance));
        self.print(&text, with_what(subject, object));
    }
}

fn with_what(subject: &Subject, mut object: Map<String, Value>) -> Value {
    object.insert("what".into(), json!(subject.what));
    object.insert("images".into(), json!(subject.images.len()));
    object.insert("unsigned".into(), json!(subject.unsigned));
    Value::Object(object)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn duplicates_text(report: &DuplicatesReport) -> Page {
    let mut text = Page::of(format_args!(
        "{}: {} exact, {} near, {} across splits, {} across classes",
        count(report.images, "image"),
        count(report.exact.len(), "group"),
        report.near.len(),
        report.cross_split().count(),
        report.cross_class().count()
    ));
    let mut groups: Vec<&Group> = report.groups.iter().collect();
    groups.sort_by_key(|group| (!group.is_across_splits(), !group.is_across_classes()));
    for group in groups.iter().take(SHOWN) {
        let is_near = report.near.iter().any(|near| near.places == group.places);
        let kind = if is_near { "near " } else { "exact" };
        let mark = match (group.is_across_splits(), group.is_across_classes()) {
            (true, _) => "  LEAK",
            (false, true) => "  two classes",
            _ => "",
        };
        writeln!(text, "  {kind}{mark}");
        for item in &group.members {
            writeln!(text, "    {}", item.path);
        }
    }
    if groups.len() > SHOWN {
        writeln!(text, "  … and {} more (--json, --html and --groups have all)", groups.len() - SHOWN);
    }
    if report.low_contrast > 0 {
        let what = count(report.low_contrast, "image");
        writeln!(text, "  {what} with next to nothing to see: only exact copies of them are found");
    }
    if report.broken > 0 {
        let what = count(report.broken, "image");
        writeln!(text, "  {what} cannot be decoded: only the same bytes are found (`isn audit images`)");
    }
    text
}

fn duplicates_json(subject: &Subject, report: &DuplicatesReport) -> Map<String, Value> {
    let path = |at: usize| &subject.images[at].path;
    let paths = |groups: &[Group]| -> Vec<Value> {
        groups.iter().map(|group| group.members.iter().map(|item| json!(item.path)).collect()).collect()
    };
    let pairs = report.pairs.iter().map(|near| {
        let pair = &near.pair;
        json!({
            "a": path(pair.a), "b": path(pair.b), "distance": pair.distance, "mirrored": pair.mirrored,
            "similarity": (near.similarity * 1e4).round() / 1e4,
        })
    });
    let leaks: Vec<&Group> = report.cross_split().collect();
    object(json!({
        "exact": paths(&report.exact),
        "near": paths(&report.near),
        "cross_split": leaks.len(),
        "cross_class": report.cross_class().count(),
        "leakage": leaks.iter().map(|group| group.members.iter().map(|item| &item.path).collect()).collect::<Vec<Vec<_>>>(),
        "pairs": pairs.collect::<Vec<_>>(),
        "low_contrast": report.low_contrast,
        "undecodable": report.broken,
    }))
}

fn images_text(subject: &Subject, report: &ImagesReport) -> Page {
    let counts = report.counts();
    let found: Vec<String> =
        Remark::ALL.iter().map(|remark| format!("{} {}", counts[remark], remark.as_str())).collect();
    let mut text = Page::of(format_args!("{}: {}", count(report.images, "image"), found.join(", ")));
    for remark in Remark::ALL {
        let found = || report.found.iter().filter(move |found| found.remark == remark);
        for one in found().take(SHOWN) {
            let why = if one.why.is_empty() { String::new() } else { format!("  {}", one.why) };
            writeln!(text, "  {:<8}{}{why}", remark.as_str(), subject.images[one.at].path);
        }
        if counts[&remark] > SHOWN {
            let more = counts[&remark] - SHOWN;
            writeln!(text, "  … and {more} more {} (--json and --html have all)", remark.as_str());
        }
    }
    text
}

fn images_json(subject: &Subject, report: &ImagesReport) -> Map<String, Value> {
    let mut map = Map::new();
    for remark in Remark::ALL {
        let found = report.found.iter().filter(|found| found.remark == remark).map(|found| {
            let item = &subject.images[found.at];
            json!({ "path": item.path, "source_id": item.source_id, "why": found.why })
        });
        map.insert(remark.as_str().into(), found.collect());
    }
    map
}

fn split_name(split: Option<Split>) -> &'static str {
    split.map_or("all", Split::as_str)
}

fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}

fn balance_text(subject: &Subject, report: &BalanceReport) -> Page {
    let imbalance = report.imbalance().filter(|_| report.classes.len() > 1);
    let imbalance =
        imbalance.map_or_else(String::new, |times| format!(", the largest {times:.2} times the smallest"));
    let images = count(report.images as usize, "image");
    let mut text = Page::of(format_args!("{images} in {} classes{imbalance}", report.classes.len()));
    if report.without_class > 0 {
        writeln!(text, "  {} of no class", count(report.without_class as usize, "image"));
    }
    let heads: String = report.splits.iter().map(|one| format!("{:>8}", split_name(one.split))).collect();
    let width = report.classes.keys().map(|class| class.as_str().len()).max().unwrap_or(2).max(5);
    text.blank();
    writeln!(text, "  {:<width$}{heads}", "class");
    for (class, counts) in &report.classes {
        let cells: String = report.splits.iter().map(|one| format!("{:>8}", counts[&one.split])).collect();
        let label = subject.labels.get(class).map(|label| format!("  {label}")).unwrap_or_default();
        writeln!(text, "  {:<width$}{cells}{label}", class.as_str());
    }
    text.blank();
    writeln!(text, "  what an accuracy can tell, in percent points (95%)");
    let heads: String =
        ACCURACIES.iter().map(|p| format!("{:>9}", format!("at {:.0}%", p * 100.0))).collect();
    writeln!(text, "  {:<26}{heads}", "");
    for one in &report.splits {
        let rows = [("all of it", one.half_widths), ("its smallest class", one.class_half_widths)];
        for (what, widths) in rows.iter().take(if report.classes.is_empty() { 1 } else { 2 }) {
            let cells: String =
                widths.iter().map(|width| format!("{:>9}", format!("±{}", percent(*width)))).collect();
            writeln!(text, "  {:<26}{cells}", format!("{}, {what}", split_name(one.split)));
        }
        let discordance = format!("{}%", report.discordance * 100.0);
        match one.smallest_difference {
            Some(least) => writeln!(
                text,
                "    two models that disagree on {discordance} are told apart from {} points on (McNemar, power 80%)",
                percent(least)
            ),
            None => writeln!(text, "    two models that disagree on {discordance} cannot be told apart"),
        };
    }
    text
}

fn balance_json(report: &BalanceReport) -> Map<String, Value> {
    let by_accuracy = |widths: &[f64; 3]| -> Map<String, Value> {
        ACCURACIES.iter().zip(widths).map(|(p, width)| (p.to_string(), json!(width))).collect()
    };
    let classes = report.classes.iter().map(|(class, counts)| {
        let counts: Map<String, Value> =
            counts.iter().map(|(split, count)| (split_name(*split).into(), json!(count))).collect();
        (class.to_string(), Value::Object(counts))
    });
    let splits = report.splits.iter().map(|one| {
        let figures = json!({
            "images": one.images,
            "fewest": one.range.0,
            "most": one.range.1,
            "half_width": by_accuracy(&one.half_widths),
            "class_half_width": by_accuracy(&one.class_half_widths),
            "smallest_difference": one.smallest_difference,
        });
        (split_name(one.split).to_string(), figures)
    });
    object(json!({
        "classes": classes.collect::<Map<String, Value>>(),
        "splits": splits.collect::<Map<String, Value>>(),
        "imbalance": report.imbalance(),
        "without_class": report.without_class,
        "discordance": report.discordance,
    }))
}
