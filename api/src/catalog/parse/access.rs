//! `@auth`: who may do what.

use super::draft::Draft;
use super::source::{Report, Span};
use super::value::{Entry, Value, ValueKind};
use super::vocabulary::Kind;
use crate::catalog::filter::RuleValue;
use crate::catalog::{
    Access, Allow, FieldId, FieldType, Filter, Operation, Operations, ResourceId, Rule, Scalar, suggest,
};

const ALLOW: &[&str] = &["PUBLIC", "AUTHENTICATED", "OWNER", "ROLE", "WHERE"];
const OPERATIONS: &[(&str, Operation)] = &[
    ("READ", Operation::Read),
    ("CREATE", Operation::Create),
    ("UPDATE", Operation::Update),
    ("DELETE", Operation::Delete),
];
const RULE_FIELDS: &[&str] = &["allow", "operations", "ownerField", "roles", "filter"];

/// Reads the `@auth` directives of one resource and its fields.
pub struct AccessReader<'d, 'a, 'r, 's> {
    /// With the types of all fields.
    pub draft: &'d Draft<'a>,
    /// Whose.
    pub id: ResourceId,
    /// Where problems go.
    pub report: &'r mut Report<'s>,
}

impl AccessReader<'_, '_, '_, '_> {
    /// That of the resource. Without `@auth`, or if it is wrong: for the admin role alone.
    pub fn resource(&mut self) -> Access {
        let Some(one) = self.draft.declared.resource(self.id).uses.get(Kind::Auth) else {
            return Access::Rules(Vec::new());
        };
        match (one.value("rules"), one.text("inherit")) {
            (Some(_), Some((_, span))) => {
                self.report
                    .error(span, "`inherit` beside `rules`: a type has either its own rules or those of another");
                Access::Rules(Vec::new())
            }
            (None, Some((name, span))) => self.inherit(name, span).map_or(Access::Rules(Vec::new()), Access::Inherit),
            (Some(rules), None) => Access::Rules(self.rules(rules, false)),
            (None, None) => {
                // If there are arguments, they are wrong, which has been reported.
                if one.is_bare {
                    self.report.error_help(
                        one.span,
                        "`@auth` needs `rules` or `inherit`",
                        "such as rules: [{ allow: PUBLIC }]",
                    );
                }
                Access::Rules(Vec::new())
            }
        }
    }

    /// The rules of a field, if it has any.
    pub fn field(&mut self, field: FieldId) -> Option<Vec<Rule>> {
        let (_, decl) = self.draft.declared.resource(self.id).fields().find(|(id, _)| *id == field)?;
        let one = decl.uses.get(Kind::Auth)?;
        let drafted = self.draft.catalog.resource(self.id).field(field);
        if !drafted.is_column() {
            return None;
        }
        if !drafted.nullable {
            let message = format!("`{}` has rules of its own, so it must be nullable", drafted.name);
            self.report.error_help(one.span, message, "who may not read it gets null: write its type without `!`");
        }
        if drafted.private {
            self.report.error(one.span, format!("`{}` is private, so nobody needs rules for it", drafted.name));
        }
        Some(self.rules(one.value("rules")?, true))
    }

    fn inherit(&mut self, name: &str, span: Span) -> Option<FieldId> {
        let resource = self.draft.catalog.resource(self.id);
        let required = |id: &FieldId| resource.field(*id).to_one().is_some() && !resource.field(*id).nullable;
        let allowed = resource.fields().filter(|(id, _)| required(id)).map(|(_, field)| field.name.as_str());
        let Some(field) = resource.find(name) else {
            self.report.unknown(span, format!("`{}` has no field `{name}`", resource.name), name, allowed);
            return None;
        };
        if self.draft.is_broken(self.id, field) {
            return None;
        }
        let (what, help) = match resource.field(field).ty {
            FieldType::ToOne { target, .. } if resource.field(field).nullable => (
                "is nullable: rows without it would belong to nobody",
                format!("write {}!", self.draft.catalog.resource(target).name),
            ),
            FieldType::ToOne { .. } => return Some(field),
            FieldType::ToMany { .. } => {
                ("is a list: rights come from one row", suggest::list(&allowed.collect::<Vec<_>>()))
            }
            FieldType::RowId
            | FieldType::Scalar(_)
            | FieldType::Enum(_)
            | FieldType::ScalarList(_)
            | FieldType::EnumList(_) => ("is no relation", suggest::list(&allowed.collect::<Vec<_>>())),
        };
        self.report.error_help(span, format!("`{name}` {what}"), help);
        None
    }

    fn rules(&mut self, rules: &Value, on_field: bool) -> Vec<Rule> {
        let ValueKind::List(items) = &rules.kind else { return Vec::new() };
        items.iter().filter_map(|rule| self.rule(rule, on_field)).collect()
    }

    /// `None` if it is wrong.
    fn rule(&mut self, rule: &Value, on_field: bool) -> Option<Rule> {
        let ValueKind::Object(entries) = &rule.kind else {
            let message = format!("a rule is an object, not {}", rule.describe());
            self.report.error_help(rule.span, message, "such as { allow: PUBLIC, operations: [READ] }");
            return None;
        };
        for (i, entry) in entries.iter().enumerate() {
            if !RULE_FIELDS.contains(&entry.name.as_str()) {
                let message = format!("a rule has no `{}`", entry.name);
                self.report.unknown(entry.name_span, message, &entry.name, RULE_FIELDS.iter().copied());
            } else if entries[..i].iter().any(|other| other.name == entry.name) {
                self.report.error(entry.name_span, format!("`{}` is given twice", entry.name));
            }
        }
        let find = |name: &str| entries.iter().find(|entry| entry.name == name);
        let operations = match find("operations") {
            Some(entry) => self.operations(&entry.value, on_field),
            None => Some(Operations::ALL),
        };
        let Some(allow) = find("allow") else {
            // An unknown name was probably meant as this one.
            if entries.iter().all(|entry| RULE_FIELDS.contains(&entry.name.as_str())) {
                self.report.error_help(rule.span, "the rule does not say whom it allows", suggest::list(ALLOW));
            }
            return None;
        };
        let kind = self.allow_kind(&allow.value)?;
        for (name, owner) in [("ownerField", "OWNER"), ("roles", "ROLE"), ("filter", "WHERE")] {
            match find(name) {
                Some(entry) if kind != owner => {
                    self.report.error(entry.name_span, format!("`{name}` goes with allow: {owner}, not {kind}"));
                }
                None if kind == owner => {
                    self.report.error(allow.value.span, format!("allow: {owner} needs `{name}`"));
                    return None;
                }
                _ => {}
            }
        }
        let allow = match kind {
            "PUBLIC" => Allow::Public,
            "AUTHENTICATED" => Allow::Authenticated,
            "OWNER" => Allow::Owner(self.owner_field(&find("ownerField")?.value)?),
            "ROLE" => Allow::Role(self.roles(&find("roles")?.value)?),
            _ => Allow::Where(self.filter(find("filter")?)?.into()),
        };
        Some(Rule { allow, operations: operations? })
    }

    fn allow_kind(&mut self, value: &Value) -> Option<&'static str> {
        let (ValueKind::Name(name) | ValueKind::Text(name)) = &value.kind else {
            let message = format!("{} is nobody to allow", value.describe());
            self.report.error_help(value.span, message, suggest::list(ALLOW));
            return None;
        };
        let found = ALLOW.iter().copied().find(|kind| kind == name && matches!(value.kind, ValueKind::Name(_)));
        if found.is_none() {
            let message = format!("{} is nobody to allow", value.describe());
            self.report.unknown(value.span, message, name, ALLOW.iter().copied());
        }
        found
    }

    fn operations(&mut self, value: &Value, on_field: bool) -> Option<Operations> {
        let single = std::slice::from_ref(value);
        let items = if let ValueKind::List(items) = &value.kind { items.as_slice() } else { single };
        let names = OPERATIONS.iter().map(|(name, _)| *name).filter(|name| !on_field || *name != "DELETE");
        if items.is_empty() {
            let help = suggest::list(&names.collect::<Vec<_>>());
            self.report.error_help(value.span, "`operations` is empty, so the rule allows nothing", help);
            return None;
        }
        let mut all = Some(Operations::NONE);
        for item in items {
            let name = if let ValueKind::Name(name) = &item.kind { name.as_str() } else { "" };
            let found = OPERATIONS.iter().find(|(known, _)| *known == name).map(|(_, operation)| *operation);
            all = match (found, all) {
                (None, _) => {
                    self.report.unknown(item.span, format!("{} is no operation", item.describe()), name, names.clone());
                    None
                }
                (Some(Operation::Delete), _) if on_field => {
                    self.report.error(item.span, "a field is not deleted: DELETE is for the rules of a type");
                    None
                }
                (Some(operation), Some(all)) if all.contains(operation) => {
                    self.report.error(item.span, format!("`{name}` is given twice"));
                    None
                }
                (Some(operation), all) => all.map(|all| all.with(operation)),
            };
        }
        all
    }

    fn owner_field(&mut self, value: &Value) -> Option<FieldId> {
        let resource = self.draft.catalog.resource(self.id);
        let fits = |field: &&crate::catalog::Field| {
            field.ty == FieldType::Scalar(Scalar::String) || field.ty == FieldType::Scalar(Scalar::Id)
        };
        let ValueKind::Text(name) = &value.kind else {
            self.report.error(value.span, format!("`ownerField` must be a string, not {}", value.describe()));
            return None;
        };
        let Some(id) = resource.find(name) else {
            let allowed = resource.fields.iter().filter(fits).map(|field| field.name.as_str());
            self.report.unknown(value.span, format!("`{}` has no field `{name}`", resource.name), name, allowed);
            return None;
        };
        if self.draft.is_broken(self.id, id) {
            return None;
        }
        if !fits(&resource.field(id)) {
            self.report.error(value.span, format!("`{name}` is neither String nor ID, so it cannot hold a `sub`"));
            return None;
        }
        Some(id)
    }

    fn roles(&mut self, value: &Value) -> Option<Vec<String>> {
        let ValueKind::List(items) = &value.kind else {
            self.report.error(value.span, format!("`roles` must be a list of strings, not {}", value.describe()));
            return None;
        };
        if items.is_empty() {
            self.report.error(value.span, "`roles` is empty, so the rule allows nobody");
            return None;
        }
        let mut roles = Vec::new();
        for item in items {
            match &item.kind {
                ValueKind::Text(role) if role.trim().is_empty() => self.report.error(item.span, "a role has a name"),
                ValueKind::Text(role) if roles.contains(role) => {
                    self.report.error(item.span, format!("the role \"{role}\" is given twice"));
                }
                ValueKind::Text(role) => roles.push(role.clone()),
                _ => self.report.error(item.span, format!("a role is a string, not {}", item.describe())),
            }
        }
        Some(roles)
    }

    fn filter(&mut self, entry: &Entry) -> Option<Filter<RuleValue>> {
        let value = &entry.value;
        if matches!(&value.kind, ValueKind::Object(entries) if entries.is_empty()) {
            self.report.error_help(value.span, "an empty filter allows everybody everything", "write allow: PUBLIC");
            return None;
        }
        let json = value.to_json(self.report);
        match Filter::parse_rule(&self.draft.catalog, self.id, &json) {
            Ok(filter) => Some(filter),
            Err(errors) => {
                for error in errors {
                    if !self.names_broken_field(&error.path) {
                        let span = value.span_at(&error.path, error.in_name);
                        match error.help {
                            Some(help) => self.report.error_help(span, error.message, help),
                            None => self.report.error(span, error.message),
                        }
                    }
                }
                None
            }
        }
    }

    /// Whether a path into a filter goes through a field whose type is unknown, so that the error may be no error.
    fn names_broken_field(&self, path: &[String]) -> bool {
        let mut resource = self.id;
        for name in path {
            let catalog = &self.draft.catalog;
            let Some(field) = catalog.resource(resource).find(name) else { continue };
            if self.draft.is_broken(resource, field) {
                return true;
            }
            let field = catalog.resource(resource).field(field);
            let target = field.to_one().or(field.to_many().map(|(target, _)| target));
            resource = target.unwrap_or(resource);
        }
        false
    }
}
