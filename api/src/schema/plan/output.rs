//! Writing a response: bytes of JSON, and the errors met on the way with their paths.

use std::sync::Arc;

use entity::Position;

use crate::catalog::datum::{write_int, write_text};
use crate::log::Hub;
use crate::schema::document::{ErrorCode, GraphqlError, Location, PathSegment};

/// A response key: as it stands in paths, and as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: Arc<str>,
    quoted: Box<[u8]>,
}

impl Key {
    pub(crate) fn new(name: &str) -> Self {
        let mut quoted = Vec::with_capacity(name.len() + 3);
        write_text(&mut quoted, name);
        quoted.push(b':');
        Self { name: name.into(), quoted: quoted.into() }
    }

    /// Writes `"key":`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.quoted);
    }
}

/// What is being written.
pub(crate) struct Output<'a> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) errors: Vec<GraphqlError>,
    pub(crate) path: Vec<PathSegment>,
    pub(crate) catalog: &'a crate::catalog::Catalog,
    hub: &'a Hub,
    /// The position of the log at which what is written now is so.
    pub(crate) position: Position,
}

impl<'a> Output<'a> {
    pub(crate) fn new(catalog: &'a crate::catalog::Catalog, hub: &'a Hub) -> Self {
        Self {
            bytes: Vec::with_capacity(512),
            errors: Vec::new(),
            path: Vec::new(),
            catalog,
            hub,
            position: Position::START,
        }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn null(&mut self) {
        self.raw(b"null");
    }

    pub(crate) fn text(&mut self, text: &str) {
        write_text(&mut self.bytes, text);
    }

    pub(crate) fn optional_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    pub(crate) fn number(&mut self, number: i64) {
        write_int(&mut self.bytes, number);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.raw(if value { b"true" } else { b"false" });
    }

    /// The opaque cursor of a position.
    pub(crate) fn log_cursor(&mut self, position: Position) {
        let cursor = self.hub.cursor(position);
        self.text(&cursor);
    }

    /// Writes an object: for each key what `value` writes.
    pub(crate) fn object<T>(&mut self, fields: &[(Key, T)], value: impl FnMut(&mut Self, &T)) {
        self.object_of(fields, |_| true, value);
    }

    /// Writes an object. Fields that are not part of a path can have no error. Most are such, and their shared names need not
    /// be counted.
    pub(crate) fn object_of<T>(
        &mut self,
        fields: &[(Key, T)],
        is_in_path: impl Fn(&T) -> bool,
        mut value: impl FnMut(&mut Self, &T),
    ) {
        self.bytes.push(b'{');
        for (i, (key, field)) in fields.iter().enumerate() {
            if i > 0 {
                self.bytes.push(b',');
            }
            self.raw(&key.quoted);
            if is_in_path(field) {
                self.path.push(PathSegment::Field(Arc::clone(&key.name)));
                value(self, field);
                self.path.pop();
            } else {
                value(self, field);
            }
        }
        self.bytes.push(b'}');
    }

    /// Writes an array.
    pub(crate) fn array<T>(&mut self, items: impl IntoIterator<Item = T>, mut value: impl FnMut(&mut Self, T)) {
        self.bytes.push(b'[');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.bytes.push(b',');
            }
            self.path.push(PathSegment::Index(i));
            value(self, item);
            self.path.pop();
        }
        self.bytes.push(b']');
    }

    /// Writes null for a field that the caller may not read, with an error at its path.
    pub(crate) fn forbidden(&mut self, field: &str, location: Location) {
        self.null();
        let error = GraphqlError::new(ErrorCode::Forbidden, format!("You may not read the field {field}."));
        self.errors.push(error.at(location).with_path(self.path.clone()));
    }
}
