//! The plugin's `tracing` records, on their way into the host's log.
//!
//! Every library has its own copy of `tracing`, so without this the host would see nothing.

use std::any::Any;
use std::fmt::{self, Write as _};
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

use abi_stable::std_types::{RString, Tuple2};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::task::panic_message;
use crate::abi::{LogSinkObject, TraceRecord};

/// From now on, everything that `filter` lets through goes to `sink`. Only the first call has an effect: the
/// log is one for the whole library.
pub(super) fn forward_to(sink: LogSinkObject, filter: &str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let parsed = EnvFilter::try_new(filter);
        let problem = parsed.as_ref().err().map(ToString::to_string);
        let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
        let subscriber = Registry::default().with(filter).with(Forward { sink });
        let installed = tracing::subscriber::set_global_default(subscriber);
        if installed.is_ok() {
            panic::set_hook(Box::new(report_panic));
        }
        if let Some(problem) = problem {
            tracing::warn!(problem, "the log filter cannot be read; showing what is important");
        }
    });
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    let message = panic_message(panic.payload() as &(dyn Any + Send));
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(location, thread = thread.name().unwrap_or_default(), "panicked: {message}");
}

struct Forward {
    sink: LogSinkObject,
}

/// A span as people see it, kept with the span.
struct RenderedFields(Vec<Tuple2<RString, RString>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Forward {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(RenderedFields(fields.others));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            values.record(&mut fields);
            if let Some(RenderedFields(rendered)) = span.extensions_mut().get_mut() {
                rendered.extend(fields.others);
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let scope = context.event_scope(event).into_iter().flat_map(Scope::from_root);
        let spans = scope.map(|span| rendered_span(span.name(), span.extensions().get())).collect();
        self.sink.record(TraceRecord {
            level: number_of(*event.metadata().level()),
            target: event.metadata().target().into(),
            message: fields.message.into(),
            fields: fields.others.into(),
            spans,
        });
    }
}

fn rendered_span(name: &str, fields: Option<&RenderedFields>) -> RString {
    let mut rendered = String::from(name);
    if let Some(RenderedFields(fields)) = fields.filter(|fields| !fields.0.is_empty()) {
        let fields: Vec<String> =
            fields.iter().map(|Tuple2(name, value)| format!("{name}={value}")).collect();
        // Writing to a string cannot fail.
        let _written = write!(rendered, "{{{}}}", fields.join(" "));
    }
    rendered.into()
}

fn number_of(level: Level) -> u32 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// The message, and the other fields as text.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<Tuple2<RString, RString>>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.others.push(Tuple2(field.name().into(), value.into()));
        }
    }
}
