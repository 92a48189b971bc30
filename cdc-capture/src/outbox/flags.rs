//! The flags from which a [`Format`] is made.

use clap::Args;
use telemetry::settings::Problems;

use super::{ExtraHeader, Format, InvalidTemplate, Part, Preset, TopicTemplate};

const COLUMN: &str = "--column / COLUMN_MAP";
const HEADER: &str = "--header / EXTRA_HEADERS";
const MESSAGE_PREFIX: &str = "--message-prefix / MESSAGE_PREFIX";

/// The flags about an outbox's columns.
#[derive(Debug, Args)]
pub struct ColumnArgs {
    /// Which events are made: `waybill` (CloudEvents) or `debezium` (as Debezium's outbox event router makes them).
    #[arg(long, env = "PRESET", default_value = "waybill", value_name = "PRESET")]
    preset: String,

    /// The column that holds a part of the event, where it is not named like the part: `aggregateid=order_id`. Parts: id,
    /// aggregatetype, aggregateid, type, payload, aggregateversion, headers, createdat. Repeat it, or separate by commas.
    #[arg(long = "column", env = "COLUMN_MAP", value_name = "PART=COLUMN", value_delimiter = ',')]
    columns: Vec<String>,

    /// A column that becomes a header; NULL is no header. Repeat it, or separate by commas.
    #[arg(long = "header", env = "EXTRA_HEADERS", value_name = "COLUMN[=HEADER]", value_delimiter = ',')]
    headers: Vec<String>,

    /// Which topic a row goes to: `{aggregatetype}` and `{type}` stand for those parts, `{tenant}` for the column tenant.
    /// `{aggregatetype}` unless set, `outbox.event.{aggregatetype}` with `--preset debezium`.
    #[arg(long, env = "TOPIC_TEMPLATE", value_name = "TEMPLATE")]
    topic_template: Option<String>,
}

/// The flags about what is published.
#[derive(Debug, Args)]
pub struct FormatArgs {
    #[command(flatten)]
    columns: ColumnArgs,

    /// Whether events have the header `position`. Without it, no relay can know later what it has sent.
    #[arg(long, env = "POSITION_HEADER", default_value = "true", value_name = "true|false")]
    position_header: String,

    /// Publish what `pg_logical_emit_message(true, PREFIX, …)` writes, too: JSON objects with an outbox's columns.
    #[arg(long, env = "MESSAGE_PREFIX", value_name = "PREFIX")]
    message_prefix: Option<String>,
}

impl ColumnArgs {
    /// Checks them.
    pub fn check(&self, problems: &mut Problems) -> Option<Format> {
        // With an unknown one the others are checked all the same.
        let preset: Preset = problems.parse("--preset / PRESET", &self.preset).unwrap_or_default();
        let mut format = Format::of(preset);
        for text in given(&self.columns) {
            let Some((part, column)) = text.split_once('=').filter(|(_, column)| !column.is_empty()) else {
                problems.add(COLUMN, format!("{text:?}: expected PART=COLUMN"));
                continue;
            };
            let Some(part) = problems.parse::<Part>(COLUMN, part) else { continue };
            if let Some(before) = format.mapping.set(part, column.to_owned()) {
                problems.add(COLUMN, format!("{} cannot be both {before} and {column}", part.name()));
            }
        }
        for text in given(&self.headers) {
            let (column, header) = text.split_once('=').unwrap_or((text, text));
            if column.is_empty() || header.is_empty() {
                problems.add(HEADER, format!("{text:?}: expected COLUMN or COLUMN=HEADER"));
                continue;
            }
            format.headers.push(ExtraHeader { column: column.to_owned(), header: header.to_owned() });
        }
        let (mapping, headers) = format.problems();
        mapping.iter().for_each(|problem| problems.add(COLUMN, problem));
        headers.iter().for_each(|problem| problems.add(HEADER, problem));
        if let Some(template) = &self.topic_template {
            let template: Result<TopicTemplate, InvalidTemplate> = template.parse();
            match template {
                Ok(template) => format.topic = template,
                Err(error) => problems.add("--topic-template / TOPIC_TEMPLATE", error),
            }
        }
        Some(format)
    }
}

impl FormatArgs {
    /// Checks them.
    pub fn check(&self, problems: &mut Problems) -> Option<Format> {
        let position_header = problems.parse("--position-header / POSITION_HEADER", &self.position_header);
        let message_prefix = self.message_prefix.clone();
        if message_prefix.as_deref() == Some("") {
            problems.add(MESSAGE_PREFIX, "is empty");
        }
        let format = self.columns.check(problems)?;
        Some(Format { position_header: position_header?, message_prefix, ..format })
    }
}

/// An empty variable is no list of one empty text.
fn given(list: &[String]) -> impl Iterator<Item = &str> {
    let is_nothing = matches!(list, [only] if only.is_empty());
    list.iter().map(String::as_str).filter(move |_| !is_nothing)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        format: FormatArgs,
    }

    fn check(flags: &[&str]) -> Result<Format, String> {
        let cli = Cli::try_parse_from([&["test"], flags].concat()).unwrap();
        let mut problems = Problems::new();
        let format = cli.format.check(&mut problems);
        problems.finish(format).map_err(|problems| problems.to_string())
    }

    #[test]
    fn no_flags_are_the_default() {
        assert_eq!(check(&[]).unwrap(), Format::default());
        assert_eq!(check(&["--column", "", "--header", ""]).unwrap(), Format::default());
    }

    #[test]
    fn all_of_them_are_understood() {
        let flags =
            ["--preset=debezium", "--column=id=event_id,type=kind", "--header=kind=eventType", "--header=tenant"];
        let format = check(&[&flags[..], &["--position-header=false", "--message-prefix=outbox"]].concat()).unwrap();
        assert_eq!((format.mapping.column(Part::Id), format.mapping.column(Part::Type)), ("event_id", "kind"));
        let header = |column: &str, header: &str| ExtraHeader { column: column.into(), header: header.into() };
        assert_eq!(format.headers, [header("kind", "eventType"), header("tenant", "tenant")]);
        assert_eq!(format.topic.to_string(), "outbox.event.{aggregatetype}");
        assert_eq!((format.position_header, format.message_prefix.as_deref()), (false, Some("outbox")));
        let format = check(&["--preset=debezium", "--topic-template={tenant}.{type}"]).unwrap();
        assert_eq!(format.topic.to_string(), "{tenant}.{type}");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let mut flags =
            vec!["--column=key=k", "--column=id", "--column=id=", "--column=id=a,id=b", "--column=aggregateid=type"];
        flags.extend(["--header=a=ce_id", "--header=b=position", "--header=c=", "--header=d,e=d"]);
        flags.extend(["--topic-template={", "--position-header=perhaps", "--message-prefix="]);
        let message = check(&flags).unwrap_err();
        for words in [
            "\"key\": there is no such part; there are id, aggregatetype,",
            "\"id\": expected PART=COLUMN",
            "\"id=\": expected PART=COLUMN",
            "id cannot be both a and b",
            "the column type cannot be both aggregateid and type",
            "\"ce_id\" is for the relay to set",
            "\"position\" is for the relay to set",
            "\"c=\": expected COLUMN or COLUMN=HEADER",
            "\"d\" is there twice",
            "--topic-template / TOPIC_TEMPLATE: a brace has no partner",
            "--position-header / POSITION_HEADER",
            "--message-prefix / MESSAGE_PREFIX: is empty",
        ] {
            assert!(message.contains(words), "{words:?} in {message}");
        }
        let message = check(&["--preset=kafka", "--column=id"]).unwrap_err();
        assert!(message.contains("there are waybill and debezium") && message.contains("expected PART"), "{message}");
        let message = check(&["--preset=debezium", "--column=headers=h", "--header=type=id"]).unwrap_err();
        assert!(message.contains("the preset debezium has no headers"), "{message}");
        assert!(message.contains("\"id\" is for the relay to set"), "{message}");
        let many = (0..33).map(|n| format!("h{n}")).collect::<Vec<_>>().join(",");
        assert!(check(&["--header", &many]).unwrap_err().contains("more than 32"));
    }
}
