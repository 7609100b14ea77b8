//! Reads a JSON body for the verdict: strictly, once, without building it.
//!
//! Promise: what is judged is what any parser reads. A name that stands twice in an object, a judged name in other
//! letters, text that is not UTF-8, numbers that are none, and anything after the value are refused: *fails closed*.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::secret_files::Pointer;
use super::{UnderstandError, media, secret_files, tool_call};

/// Deepest nesting of a body.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most tools that one request offers.
pub const TOOLS_MAX: usize = 2048;
/// How often JSON inside of a JSON text is opened.
pub(super) const INSIDE_MAX: usize = 3;
/// Names in an object up to which a plain comparison is quicker than a set.
const FEW_NAMES: usize = 16;

/// Names at the top of a body that must stand there in exactly these letters, because some servers ignore case.
const JUDGED_NAMES: &[&str] = &[
    "model",
    "stream",
    "tools",
    "functions",
    "messages",
    "input",
    "prompt",
    "system",
    "instructions",
    "endpoint",
    "requests",
    "input_file_id",
    "lora_name",
    "lora_path",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "best_of",
    "stop",
    "options",
    "template",
    "parameters",
    "inputs",
    "contents",
    "chat_template",
    "chat_template_kwargs",
    "extra_body",
    "structured_outputs",
    "mm_processor_kwargs",
    "logits_processors",
];

/// Names below which every text is an argument of a tool's call, in whichever dialect.
const ARGUMENT_NAMES: &[&str] = &[
    "arguments",
    "args",
    "tool_calls",
    "function_call",
    "functionCall",
    "toolUse",
    "tool_input",
    "action",
    "operation",
];

/// Names whose text points at something.
const REFERENCE_NAMES: &[&str] = &[
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "file_path",
    "filepath",
    "url",
    "uri",
    "image_url",
    "audio_url",
    "video_url",
    "file_url",
    "fileUri",
    "file_uri",
    "server_url",
    "base_url",
    "webhook",
    "callback_url",
    "image",
    "audio",
    "video",
    "lora_path",
    "chat_template",
    "tokenizer",
    "checkpoint",
    "source",
    "src",
    "dir",
    "directory",
    "cwd",
];

/// Names whose text is written for a model to read, and fetched by nobody.
const PROSE_NAMES: &[&str] = &[
    "content",
    "text",
    "prompt",
    "inputs",
    "system",
    "instructions",
    "description",
    "title",
    "query",
    "queries",
    "documents",
    "passages",
    "text_1",
    "text_2",
    "thinking",
    "reasoning",
    "reasoning_content",
    "refusal",
    "suffix",
    "stop",
    "stop_sequences",
];

/// Names of files that were uploaded before, by id.
const FILE_NAMES: &[&str] =
    &["input_file_id", "training_file", "validation_file", "file_id", "file_ids", "file_name", "fileName"];
/// Most files that one request uses.
const FILES_MAX: usize = 1024;

/// Where URLs and hosts lead.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leads {
    #[default]
    Outside,
    /// A text links inside, as Markdown does: some servers fetch images that prompts link to.
    LinkedInside,
    /// A URL or host leads inside.
    Inside,
}

/// What the verdict looks at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) tools: Vec<String>,
    pub(super) touches_secret_file: bool,
    pub(super) leads: Leads,
    /// Ids of files that are used.
    pub(super) files: Vec<String>,
    /// Images and audio are measured.
    measures: bool,
    inside: usize,
    problem: Option<UnderstandError>,
}

impl Judged {
    /// A text that may be anything.
    pub(super) fn of_text(text: &str) -> Self {
        let mut judged = Self::default();
        judged.see_reference(text);
        judged
    }

    /// A form: every value is an argument.
    pub(super) fn of_form(pairs: &[(String, String)]) -> Self {
        let mut judged = Self::default();
        for (name, value) in pairs {
            judged.see_reference(name);
            judged.see_argument(value);
        }
        judged
    }

    /// Looks at a path or URL.
    pub(super) fn see_reference(&mut self, text: &str) {
        self.see_pointer(text, Pointer::Reference);
        self.touches_secret_file = self.touches_secret_file || secret_files::named_in(text);
    }

    /// Looks at an argument of a tool: a text, or JSON in a text.
    pub(super) fn see_argument(&mut self, text: &str) {
        self.see_pointer(text, Pointer::Argument);
        self.touches_secret_file = self.touches_secret_file || tool_call::reaches(text, false);
        let opens = text.trim_start().starts_with(['{', '[', '"']);
        let decided = self.touches_secret_file && self.leads == Leads::Inside;
        if decided || !opens || self.inside >= INSIDE_MAX {
            return;
        }
        let mut inside = Self { inside: self.inside + 1, ..Self::default() };
        // What was seen before an end that is none counts.
        walk(text.as_bytes(), &mut inside, Place::Argument).ok();
        self.touches_secret_file |= inside.touches_secret_file;
        self.leads = self.leads.max(inside.leads);
    }

    fn see_pointer(&mut self, text: &str, pointer: Pointer) {
        if self.leads != Leads::Inside && secret_files::leads_inside(text, pointer) {
            self.leads = Leads::Inside;
        }
    }

    /// Looks at the links of a text: `![](http://10.0.0.1/)`.
    fn see_links(&mut self, text: &str) {
        let mut rest = text;
        while let Some((_, link)) = rest.split_once("](") {
            let end = link.find(|c: char| c == ')' || c.is_whitespace()).unwrap_or(link.len());
            let (link, after) = link.split_at(end);
            if self.leads > Leads::Outside {
                return;
            }
            if secret_files::leads_inside(link, Pointer::Any) {
                self.leads = Leads::LinkedInside;
            }
            rest = after;
        }
    }

    fn refuse<E: serde::de::Error>(&mut self, problem: UnderstandError) -> E {
        self.problem.get_or_insert(problem);
        E::custom("refused")
    }
}

/// Reads the body of a model API: one object.
pub(super) fn read(bytes: &[u8]) -> Result<Judged, UnderstandError> {
    read_at(bytes, Place::Top, Judged { measures: true, ..Judged::default() })
}

/// Reads an event of OpenAI's realtime API: what a body of the Responses API has at its top stands one level deeper.
pub(super) fn read_event(bytes: &[u8]) -> Result<Judged, UnderstandError> {
    read_at(bytes, Place::Event, Judged { measures: true, ..Judged::default() })
}

/// Reads any JSON; every text in it is an argument.
pub(super) fn read_any(bytes: &[u8]) -> Result<Judged, UnderstandError> {
    read_at(bytes, Place::Argument, Judged::default())
}

fn read_at(bytes: &[u8], place: Place, mut judged: Judged) -> Result<Judged, UnderstandError> {
    match walk(bytes, &mut judged, place) {
        Ok(()) => Ok(judged),
        Err(_) => Err(judged.problem.unwrap_or(UnderstandError::Json)),
    }
}

fn walk(bytes: &[u8], judged: &mut Judged, place: Place) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Walk { judged, place, depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Where in a body a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// The top of an event, around what would be the body of a request.
    Event,
    Model,
    Stream,
    Tools,
    Tool,
    Function,
    ToolName,
    ToolType,
    /// Below the arguments of a tool.
    Argument,
    /// `input`: an object is the arguments of a tool, anything else is prose or messages.
    Input,
    Reference,
    /// The id of a file.
    File,
    /// What a tool's arguments may be: names and descriptions, none of them an argument.
    Schema,
    /// What a model reads.
    Prose,
    /// What is not judged, but for URLs that lead inside.
    Plain,
}

impl Place {
    fn below(self, name: &str) -> Self {
        match (self, name) {
            (Self::Argument, _) => Self::Argument,
            (Self::Schema, _)
            | (Self::Tool | Self::Function, "parameters" | "input_schema" | "inputSchema" | "schema") => {
                Self::Schema
            }
            (_, name) if ARGUMENT_NAMES.contains(&name) => Self::Argument,
            (Self::Event, "session" | "response") => Self::Top,
            (Self::Top, "model") => Self::Model,
            (Self::Top, "stream") => Self::Stream,
            (Self::Top, "tools" | "functions") => Self::Tools,
            (Self::Tool, "name" | "server_label") | (Self::Function, "name") => Self::ToolName,
            (Self::Tool, "type") => Self::ToolType,
            (Self::Tool, "function") => Self::Function,
            (_, "input") => Self::Input,
            (_, name) if FILE_NAMES.contains(&name) => Self::File,
            (_, name) if REFERENCE_NAMES.contains(&name) => Self::Reference,
            (_, name) if PROSE_NAMES.contains(&name) => Self::Prose,
            _ => Self::Plain,
        }
    }

    fn element(self) -> Self {
        match self {
            Self::Tools => Self::Tool,
            Self::Argument | Self::Reference | Self::File | Self::Schema | Self::Prose => self,
            Self::Input => Self::Prose,
            _ => Self::Plain,
        }
    }
}

struct Walk<'j> {
    judged: &'j mut Judged,
    place: Place,
    depth: usize,
}

impl Walk<'_> {
    /// A value that is neither text, list nor object.
    fn other<E: serde::de::Error>(self, null: bool) -> Result<(), E> {
        match self.place {
            Place::Top | Place::Event => Err(self.judged.refuse(UnderstandError::Json)),
            Place::Model | Place::Stream | Place::Tools | Place::ToolName if null => Ok(()),
            Place::Model | Place::Stream | Place::Tools | Place::Tool | Place::ToolName => {
                Err(self.judged.refuse(UnderstandError::JsonField))
            }
            _ => Ok(()),
        }
    }

    fn deeper<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(self.judged.refuse(UnderstandError::JsonDepth));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        if self.place == Place::Stream {
            self.judged.stream = value;
            return Ok(());
        }
        self.other(false)
    }
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.other(false)
    }
    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.other(false)
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.other(false)
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.other(true)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let judged = self.judged;
        if judged.measures
            && let Err(problem) = media::check_text(text)
        {
            return Err(judged.refuse(problem));
        }
        match self.place {
            Place::Top | Place::Event => return Err(judged.refuse(UnderstandError::Json)),
            Place::Stream | Place::Tools | Place::Tool => {
                return Err(judged.refuse(UnderstandError::JsonField));
            }
            Place::Model => {
                text.clone_into(&mut judged.model);
                judged.see_reference(text);
            }
            Place::ToolName | Place::ToolType => {
                if judged.tools.len() >= TOOLS_MAX {
                    return Err(judged.refuse(UnderstandError::Tools));
                }
                judged.tools.push(text.to_owned());
            }
            Place::Argument => judged.see_argument(text),
            Place::Reference => judged.see_reference(text),
            Place::File => {
                judged.see_reference(text);
                if !text.is_empty() && !judged.files.iter().any(|file| file == text) {
                    if judged.files.len() >= FILES_MAX {
                        return Err(judged.refuse(UnderstandError::BatchLong));
                    }
                    judged.files.push(text.to_owned());
                }
            }
            Place::Plain => judged.see_pointer(text, Pointer::Any),
            Place::Prose | Place::Input => judged.see_links(text),
            Place::Function | Place::Schema => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let top = matches!(self.place, Place::Top | Place::Event);
        if top || matches!(self.place, Place::Model | Place::Stream | Place::Tool | Place::ToolName) {
            let problem = if top { UnderstandError::Json } else { UnderstandError::JsonField };
            return Err(self.judged.refuse(problem));
        }
        let (depth, place) = (self.deeper()?, self.place.element());
        while seq.next_element_seed(Walk { judged: &mut *self.judged, place, depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        if matches!(self.place, Place::Model | Place::Stream | Place::Tools | Place::ToolName) {
            return Err(self.judged.refuse(UnderstandError::JsonField));
        }
        let depth = self.deeper()?;
        let place = if self.place == Place::Input { Place::Argument } else { self.place };
        let mut names = Names::default();
        let tools_before = self.judged.tools.len();
        let mut tool_type = None;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let misread = match place {
                Place::Top => misspelt(&name),
                Place::Event => misspelt_part(&name),
                _ => false,
            };
            if misread {
                return Err(self.judged.refuse(UnderstandError::JsonDuplicate));
            }
            let below = place.below(&name);
            if place == Place::Argument {
                self.judged.see_reference(&name);
            }
            if !names.add(name) {
                return Err(self.judged.refuse(UnderstandError::JsonDuplicate));
            }
            map.next_value_seed(Walk { judged: &mut *self.judged, place: below, depth })?;
            if below == Place::ToolType && self.judged.tools.len() > tools_before {
                tool_type = self.judged.tools.pop();
            }
        }
        // A tool without a name is known by its type (`web_search`).
        if let Some(tool_type) = tool_type
            && self.judged.tools.len() == tools_before
        {
            self.judged.tools.push(tool_type);
        }
        Ok(())
    }
}

/// The name of a field.
#[derive(Deserialize)]
pub(super) struct Name<'n>(#[serde(borrow)] pub(super) Cow<'n, str>);

/// The names of one object.
#[derive(Default)]
struct Names<'n> {
    few: Vec<Cow<'n, str>>,
    many: HashSet<Cow<'n, str>>,
}

impl<'n> Names<'n> {
    /// Adds a name; false where it is there already.
    fn add(&mut self, name: Cow<'n, str>) -> bool {
        if self.many.is_empty() && self.few.len() < FEW_NAMES {
            let new = !self.few.contains(&name);
            self.few.push(name);
            return new;
        }
        self.many.extend(self.few.drain(..));
        self.many.insert(name)
    }
}

/// Whether a name is a judged one in other letters, as servers compare that ignore case.
fn misspelt(name: &str) -> bool {
    if JUDGED_NAMES.contains(&name) {
        return false;
    }
    let folded = name.to_uppercase().to_lowercase();
    JUDGED_NAMES.contains(&folded.as_str())
}

/// Whether a name at the top of an event is that of a judged part of it in other letters.
fn misspelt_part(name: &str) -> bool {
    const PARTS: [&str; 4] = ["session", "response", "item", "type"];
    let folded = name.to_uppercase().to_lowercase();
    !PARTS.contains(&name) && PARTS.contains(&folded.as_str())
}
