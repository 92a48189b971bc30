//! Whether a schema may take the place of a released one, while old and new documents lie on one topic and old and new
//! readers read it.
//!
//! Both directions count: new readers meet the documents of before, and readers of before meet new documents. So only what
//! readers must ignore may come (a field that is optional, an event of another type), words and descriptions apart; nothing
//! may go, and no value may become wider or narrower. A word or a variant may be added only where the released schema says
//! `"x-open": true`: its readers were told to expect words that they do not know. A keyword that is not understood here must
//! stay as it is.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value};

/// A change that some reader, or some document of before, would not survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Where in the document: `bookedBy.accountId`, `rooms[]`; empty for the document itself.
    pub at: String,
    /// What happened there.
    pub what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the document" } else { &self.at };
        write!(f, "{at}: {}", self.what)
    }
}

/// What breaks when the schema `new` follows the released schema `old`. Both are as [`Contract::schema`] makes them.
///
/// [`Contract::schema`]: crate::Contract::schema
pub fn breaks(old: &Value, new: &Value) -> Vec<Break> {
    let mut comparison = Comparison { roots: (old, new), under_way: BTreeSet::new(), found: Vec::new() };
    comparison.schemas("", old, new);
    comparison.topics(&old[TOPIC], &new[TOPIC]);
    comparison.found
}

const TOPIC: &str = "x-topic";
const OPEN: &str = "x-open";

/// Keywords that say nothing of what a document may be, or are looked at elsewhere.
const NO_MATTER: [&str; 8] = ["$schema", "$id", "$defs", "$comment", "title", "description", "examples", TOPIC];
/// Keywords that have a rule of their own.
const WITH_RULE: [&str; 8] = ["type", "properties", "required", "items", "const", "enum", "oneOf", "anyOf"];

struct Comparison<'a> {
    roots: (&'a Value, &'a Value),
    /// References that are being compared: a type that holds itself would not end.
    under_way: BTreeSet<(String, String)>,
    found: Vec<Break>,
}

impl Comparison<'_> {
    fn note(&mut self, at: &str, what: impl Into<String>) {
        self.found.push(Break { at: at.to_owned(), what: what.into() });
    }

    fn schemas(&mut self, at: &str, old: &Value, new: &Value) {
        let references = (reference(old), reference(new));
        if let (Some(of_old), Some(of_new)) = references {
            let pair = (of_old.to_owned(), of_new.to_owned());
            if !self.under_way.insert(pair.clone()) {
                return;
            }
            self.resolved(at, old, new);
            self.under_way.remove(&pair);
        } else {
            self.resolved(at, old, new);
        }
    }

    fn resolved(&mut self, at: &str, old: &Value, new: &Value) {
        let (old, new) = match (resolve(self.roots.0, old), resolve(self.roots.1, new)) {
            (Some(old), Some(new)) => (old, new),
            // `true` and `false` are schemas too.
            _ if old == new => return,
            _ => return self.note(at, format!("was {old}, is {new}")),
        };
        // Words bring their types with them.
        if !(is_words(&old) && is_words(&new)) {
            self.types(at, &old, &new);
        }
        self.fields(at, &old, &new);
        self.choices(at, &old, &new);
        match (old.get("items"), new.get("items")) {
            (Some(old), Some(new)) => self.schemas(&format!("{at}[]"), old, new),
            (None, None) => {}
            (old, new) => self.changed(at, "items", old, new),
        }
        let names: BTreeSet<_> = old.keys().chain(new.keys()).map(String::as_str).collect();
        for name in names.into_iter().filter(|name| !NO_MATTER.contains(name) && !WITH_RULE.contains(name)) {
            if old.get(name) != new.get(name) {
                self.changed(at, name, old.get(name), new.get(name));
            }
        }
    }

    fn changed(&mut self, at: &str, keyword: &str, old: Option<&Value>, new: Option<&Value>) {
        let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
        let direction = match (limits(keyword), number(old), number(new)) {
            (Some(is_lower), Some(old), Some(new)) if (old < new) == is_lower => {
                ": narrower, documents of before may lie outside"
            }
            (Some(_), Some(_), Some(_)) => ": wider, readers of before may not take it",
            (Some(_), None, _) => ": narrower, documents of before may lie outside",
            (Some(_), _, None) => ": wider, readers of before may not take it",
            (None, ..) => "",
        };
        self.note(at, format!("`{keyword}` was {}, is {}{direction}", show(old), show(new)));
    }

    fn types(&mut self, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let (old, new) = (texts(old.get("type")), texts(new.get("type")));
        if old == new {
            return;
        }
        let show = |types: &BTreeSet<&str>| match types.is_empty() {
            true => "anything".to_owned(),
            false => types.iter().copied().collect::<Vec<_>>().join(" or "),
        };
        let direction = match (is_part(&new, &old), is_part(&old, &new)) {
            (true, _) => ": narrower, documents of before may be otherwise",
            (_, true) => ": wider, readers of before may not take it",
            _ => "",
        };
        self.note(at, format!("its type was {}, is {}{direction}", show(&old), show(&new)));
    }

    fn fields(&mut self, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let (always, now_always) = (texts(old.get("required")), texts(new.get("required")));
        let (fields, new_fields) = (members(old), members(new));
        for (name, schema) in &fields {
            let at = join(at, name);
            let Some(new_schema) = new_fields.get(name) else {
                self.note(&at, "is gone: its readers would miss it");
                continue;
            };
            match (always.contains(name), now_always.contains(name)) {
                (true, false) => self.note(&at, "is not always there any more: readers of before rely on it"),
                (false, true) => self.note(&at, "is required now: documents of before may lack it"),
                _ => {}
            }
            self.schemas(&at, schema, new_schema);
        }
        for name in new_fields.keys().filter(|name| !fields.contains_key(*name) && now_always.contains(*name)) {
            self.note(&join(at, name), "is new and required: documents of before lack it. Make it optional");
        }
    }

    /// Words, and variants of which a document is one.
    fn choices(&mut self, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let open = old.get(OPEN) == Some(&Value::Bool(true));
        let (before, after) = match (choices(self.roots.0, old), choices(self.roots.1, new)) {
            (None, None) => return,
            (Some(before), Some(after)) => (before, after),
            (None, Some(_)) => {
                return self.note(at, "is one of some values only: narrower, documents of before may be others");
            }
            (Some(_), None) => {
                return self.note(at, "is not one of some values only any more: readers of before may not take others");
            }
        };
        for (name, schema) in &before {
            match after.get(name) {
                None => self.note(at, format!("{name} is gone: documents of before may hold it")),
                Some(new_schema) => {
                    if let (Some(old), Some(new)) = (schema, new_schema) {
                        self.schemas(at, old, new);
                    }
                }
            }
        }
        for name in after.keys().filter(|name| !before.contains_key(*name) && !open) {
            self.note(at, format!("{name} is new: readers of before do not know it"));
        }
    }

    fn topics(&mut self, old: &Value, new: &Value) {
        for name in ["name", "partitions", "cleanup"] {
            if old[name] != new[name] {
                self.note("", format!("its topic's {name} was {}, is {}", old[name], new[name]));
            }
        }
        let (events, new_events) = (texts(old.get("events")), texts(new.get("events")));
        for ty in events.difference(&new_events) {
            self.note("", format!("the event {ty} is gone: what it triggered would not happen any more"));
        }
        let (gone, now_gone) = (texts(old.get("tombstones")), texts(new.get("tombstones")));
        for ty in now_gone.difference(&gone) {
            self.note("", format!("the event {ty} is a tombstone now: readers of before expect a document"));
        }
    }
}

/// What a schema's `$ref` names.
fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()
}

/// A schema's keywords, with those of what it refers to.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> Option<Cow<'a, Map<String, Value>>> {
    let own = schema.as_object()?;
    let Some(name) = reference(schema) else { return Some(Cow::Borrowed(own)) };
    let Some(target) = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer)).and_then(Value::as_object)
    else {
        return Some(Cow::Borrowed(own));
    };
    let mut merged = target.clone();
    merged.extend(own.iter().filter(|(name, _)| *name != "$ref").map(|(name, value)| (name.clone(), value.clone())));
    Some(Cow::Owned(merged))
}

/// The choices that a schema leaves, by a name that stays the same when they are put in another order: words, and variants by
/// the words that tell them apart or else by their type. A word has no schema to look into.
fn choices<'a>(root: &Value, schema: &'a Map<String, Value>) -> Option<BTreeMap<String, Option<&'a Value>>> {
    if let Some(word) = schema.get("const") {
        return Some([(word.to_string(), None)].into());
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().map(|word| (word.to_string(), None)).collect());
    }
    let variants = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let mut choices = BTreeMap::new();
    for variant in variants {
        let (name, schema) = variant_name(root, variant).map_or_else(
            || (variant.to_string(), None),
            |(name, is_word)| if is_word { (name, None) } else { (name, Some(variant)) },
        );
        // Two that look the same from here are told apart by all that they say.
        if choices.contains_key(&name) {
            choices.insert(variant.to_string(), None);
        } else {
            choices.insert(name, schema);
        }
    }
    Some(choices)
}

/// Whether a schema names all its values.
fn is_words(schema: &Map<String, Value>) -> bool {
    let variants = || schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    schema.contains_key("const")
        || schema.contains_key("enum")
        || variants().is_some_and(|variants| variants.iter().all(|variant| variant.get("const").is_some()))
}

/// A variant's name, and whether that is all of it.
fn variant_name(root: &Value, variant: &Value) -> Option<(String, bool)> {
    let schema = resolve(root, variant)?;
    if let Some(word) = schema.get("const") {
        return Some((word.to_string(), true));
    }
    let tags: Vec<_> = members(&schema)
        .into_iter()
        .filter_map(|(name, schema)| Some(format!("{name} {}", schema.get("const")?)))
        .collect();
    match tags.is_empty() {
        false => Some((tags.join(", "), false)),
        true => Some((schema.get("type")?.to_string(), false)),
    }
}

fn members(schema: &Map<String, Value>) -> BTreeMap<&str, &Value> {
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    fields.map(|(name, schema)| (name.as_str(), schema)).collect()
}

/// One text, or a list of them.
fn texts(value: Option<&Value>) -> BTreeSet<&str> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        value => value.and_then(Value::as_str).into_iter().collect(),
    }
}

/// Whether all that `part` takes, `whole` takes too. No type at all takes anything.
fn is_part(part: &BTreeSet<&str>, whole: &BTreeSet<&str>) -> bool {
    whole.is_empty() || (!part.is_empty() && part.is_subset(whole))
}

/// Whether a keyword limits values; then whether from below.
fn limits(keyword: &str) -> Option<bool> {
    match keyword {
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => Some(true),
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => Some(false),
        _ => None,
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    value?.as_f64()
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
