//! Random walks from resource file to resource file, by changes that need no allowance: after each the tables fit, and
//! at the end all rows are there, and all events say what the rows say, whatever they were called on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value};

use super::super::ddl::quoted;
use super::{TestDatabase, on_both_databases};
use crate::catalog::lineage::Era;
use crate::catalog::{Datum, Lineage, names, parse};

const WALKS: usize = 12;
const STEPS: usize = 6;

/// What a file says, and what it said before.
#[derive(Debug, Clone, Default)]
struct Model {
    types: Vec<TypeModel>,
    /// Values of the one enum: name now, name before.
    values: Vec<(String, Option<String>)>,
    names: usize,
    /// By row, its values by field as text.
    rows: Vec<BTreeMap<usize, Option<String>>>,
}

#[derive(Debug, Clone)]
struct TypeModel {
    name: String,
    was: Option<String>,
    fields: Vec<FieldModel>,
    /// Its rows, by index.
    rows: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
struct FieldModel {
    /// Who it is, whatever its name.
    id: usize,
    name: String,
    was: Option<String>,
    ty: &'static str,
    required: bool,
    default: Option<&'static str>,
    is_unique: bool,
    is_indexed: bool,
    /// Added since the last file.
    is_new: bool,
}

impl Model {
    fn new_name(&mut self, prefix: &str) -> String {
        self.names += 1;
        // The names of types have letters only.
        let letters =
            format!("{:04}", self.names).bytes().map(|digit| char::from(b'a' + digit - b'0')).collect::<String>();
        format!("{prefix}{letters}")
    }

    fn add_type(&mut self) {
        let name = self.new_name("Type");
        self.types.push(TypeModel { name, was: None, fields: Vec::new(), rows: BTreeSet::new() });
        self.add_field(self.types.len() - 1, 0);
    }

    fn add_field(&mut self, ty: usize, dice: usize) {
        let name = self.new_name("field");
        let (id, has_rows) = (self.names, !self.types[ty].rows.is_empty());
        let (kind, default) = [("Int", "7"), ("String", "\"x\""), ("Mood", ""), ("Int", "")][dice % 4];
        let default = (!default.is_empty()).then_some(default);
        let required = (default.is_some() || !has_rows) && !dice.is_multiple_of(3);
        for row in &self.types[ty].rows {
            self.rows[*row].insert(id, default.map(|text| text.trim_matches('"').to_owned()));
        }
        let field = FieldModel {
            id,
            name,
            was: None,
            ty: kind,
            required,
            default,
            is_unique: false,
            is_indexed: false,
            is_new: true,
        };
        self.types[ty].fields.push(field);
    }

    /// One change.
    fn change(&mut self, dice: &[usize]) {
        let (ty, roll) = (dice[1] % self.types.len(), dice[3]);
        let field = dice[2] % self.types[ty].fields.len();
        match dice[0] % 11 {
            0 => self.add_type(),
            1 | 2 => self.add_field(ty, roll),
            3 if self.types[ty].was.is_none() => {
                let name = self.new_name("Type");
                let was = std::mem::replace(&mut self.types[ty].name, name);
                self.types[ty].was = Some(was);
            }
            4 | 5 if self.types[ty].fields[field].was.is_none() => {
                let name = self.new_name("field");
                let field = &mut self.types[ty].fields[field];
                field.was = Some(std::mem::replace(&mut field.name, name));
            }
            6 => self.types[ty].fields[field].required = false,
            7 if !self.types[ty].fields[field].is_new => {
                let field = &mut self.types[ty].fields[field];
                let wider = match field.ty {
                    "Int" => ["BigInt", "String"][roll % 2],
                    "BigInt" | "Mood" | "ID" => "String",
                    _ => "ID",
                };
                field.ty = wider;
                field.default = None;
            }
            8 => self.types[ty].fields[field].is_indexed ^= true,
            9 if self.is_distinct(ty, field) => self.types[ty].fields[field].is_unique ^= true,
            10 => {
                let value = self.new_name("VALUE").to_uppercase();
                match self.values.iter_mut().find(|(_, was)| was.is_none()).filter(|_| roll % 2 == 0) {
                    Some((name, was)) => {
                        let old = std::mem::replace(name, value.clone());
                        *was = Some(old.clone());
                        self.replace_value(&old, &value);
                    }
                    None => self.values.push((value, None)),
                }
            }
            _ => {}
        }
    }

    fn is_distinct(&self, ty: usize, field: usize) -> bool {
        let (ty, field) = (&self.types[ty], self.types[ty].fields[field].id);
        let values: Vec<_> = ty.rows.iter().filter_map(|row| self.rows[*row].get(&field)?.as_ref()).collect();
        values.iter().collect::<BTreeSet<_>>().len() == values.len()
    }

    fn replace_value(&mut self, old: &str, new: &str) {
        for ty in &self.types {
            for field in ty.fields.iter().filter(|field| field.ty == "Mood") {
                for row in &ty.rows {
                    let value = self.rows[*row].get_mut(&field.id).and_then(Option::as_mut);
                    value.into_iter().filter(|value| *value == old).for_each(|value| new.clone_into(value));
                }
            }
        }
    }

    fn source(&self) -> String {
        let mut text = "enum Mood {".to_owned();
        let renamed = |was: &Option<String>| {
            was.as_ref().map_or_else(String::new, |old| format!(" @renamedFrom(name: \"{old}\")"))
        };
        self.values.iter().for_each(|(name, was)| write!(text, " {name}{}", renamed(was)).unwrap());
        text.push_str(" }\n");
        for ty in &self.types {
            writeln!(text, "type {} @resource{} {{", ty.name, renamed(&ty.was)).unwrap();
            for field in &ty.fields {
                let required = if field.required { "!" } else { "" };
                write!(text, "  {}: {}{required}{}", field.name, field.ty, renamed(&field.was)).unwrap();
                field.default.iter().for_each(|value| write!(text, " @default(value: {value})").unwrap());
                text.push_str(if field.is_unique { " @unique" } else { "" });
                text.push_str(if field.is_indexed && !field.is_unique { " @index\n" } else { "\n" });
            }
            text.push_str("}\n");
        }
        text
    }

    /// The directives have done their work. Some authors leave them in the file, and their names stay taken.
    fn forget_names(&mut self, dice: usize) {
        for ty in &mut self.types {
            ty.was.take_if(|_| dice.is_multiple_of(2));
            ty.fields.iter_mut().for_each(|field| field.is_new = false);
            ty.fields.iter_mut().for_each(|field| drop(field.was.take_if(|_| dice.is_multiple_of(3))));
        }
        self.values.iter_mut().for_each(|(_, was)| drop(was.take()));
    }

    /// A row in each table.
    async fn insert_rows(&mut self, db: &TestDatabase) {
        for ty in 0..self.types.len() {
            let row = self.rows.len();
            let mut values = BTreeMap::new();
            let mut line = format!("{} id=#{}", quoted(&names::prefix(&self.types[ty].name)), row + 1);
            for field in &self.types[ty].fields {
                let value = match field.ty {
                    "Mood" => self.values[row % self.values.len()].0.clone(),
                    _ => (1000 + row).to_string(),
                };
                // Moods repeat.
                let value =
                    (field.required || !(row + field.id).is_multiple_of(3) && !field.is_unique).then_some(value);
                let sql = match (&value, field.ty) {
                    (None, _) => "null".to_owned(),
                    (Some(value), "Int" | "BigInt") => value.clone(),
                    (Some(value), _) => format!("'{value}'"),
                };
                write!(line, " {}={sql}", names::column(&field.name)).unwrap();
                values.insert(field.id, value);
            }
            let repeats = |field: &FieldModel| field.is_unique && field.required && field.ty == "Mood";
            if !self.types[ty].fields.iter().any(repeats) {
                db.insert_line(&line).await;
                self.rows.push(values);
                self.types[ty].rows.insert(row);
            }
        }
    }
}

/// An event of a row, as it is written now.
struct Written {
    position: i64,
    type_name: String,
    image: Map<String, Value>,
    row: usize,
}

fn images(model: &Model, position: i64) -> Vec<Written> {
    let mut images = Vec::new();
    for ty in &model.types {
        for row in &ty.rows {
            let mut image = Map::new();
            for name in ["createdAt", "updatedAt", "version"] {
                image.insert(name.to_owned(), 1.into());
            }
            image.insert("id".to_owned(), uuid::Uuid::from_u128(*row as u128 + 1).to_string().into());
            for field in &ty.fields {
                let value = match (model.rows[*row][&field.id].as_ref(), field.ty) {
                    (None, _) => Value::Null,
                    (Some(value), "Int" | "BigInt") => Value::from(value.parse::<i64>().unwrap()),
                    (Some(value), _) => Value::String(value.clone()),
                };
                image.insert(field.name.clone(), value);
            }
            images.push(Written { position, type_name: ty.name.clone(), image, row: *row });
        }
    }
    images
}

async fn check_rows(db: &TestDatabase, model: &Model, step: i64) {
    for ty in &model.types {
        for field in &ty.fields {
            let (table, column) = (quoted(&names::prefix(&ty.name)), quoted(&names::column(&field.name)));
            // Another text each time: PostgreSQL keeps the plan of a statement, with the types of then.
            let sql = format!("SELECT CAST({column} AS text) FROM {table} WHERE {step} = {step} ORDER BY id");
            let found = db.query(&sql).await;
            let expected: Vec<_> = ty.rows.iter().map(|row| model.rows[*row][&field.id].clone()).collect();
            assert_eq!(found, expected, "{}.{} of\n{}", ty.name, field.name, model.source());
        }
    }
}

async fn check_events(db: &TestDatabase, model: &Model, written: &[Written]) {
    let documents = db.query("SELECT document FROM tandem_lineage ORDER BY id").await;
    let positions = db.query("SELECT CAST(position AS text) FROM tandem_lineage ORDER BY id").await;
    let eras: Vec<(i64, Era)> = positions
        .iter()
        .zip(&documents)
        .map(|(position, era)| {
            (position.as_ref().unwrap().parse().unwrap(), serde_json::from_str(era.as_ref().unwrap()).unwrap())
        })
        .collect();
    let lineage = Lineage::new(Arc::new(parse("resources.graphql", &model.source()).unwrap()), &eras);
    for Written { position, type_name, image, row } in written {
        let view = lineage.view(*position, type_name).unwrap_or_else(|| panic!("{type_name} at {position}: {eras:?}"));
        let read = lineage.read(view, image).unwrap();
        let resource = lineage.catalog().resource(view.resource);
        let ty = model.types.iter().find(|ty| ty.name == resource.name).unwrap();
        assert!(ty.rows.contains(row), "{type_name} is {} now", ty.name);
        for field in &ty.fields {
            let text = match read.get(resource.find(&field.name).unwrap()) {
                Datum::Null => None,
                Datum::Int(number) => Some(number.to_string()),
                Datum::Text(text) => Some(text.clone()),
                other => panic!("{other:?}"),
            };
            assert_eq!(text, model.rows[*row][&field.id], "{} of {image:?} at {position}: {eras:?}", field.name);
        }
    }
}

#[tokio::test]
async fn any_walk_keeps_rows_and_events() {
    let strategy = vec(vec(vec(0_usize..1000, 4), 1..4), STEPS);
    let mut runner = TestRunner::deterministic();
    let walks: Vec<_> = (0..WALKS).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    for walk in walks {
        on_both_databases(async |db| {
            let mut model = Model { values: vec![("GOOD".to_owned(), None)], ..Model::default() };
            model.add_type();
            let mut written = Vec::new();
            for (position, step) in (1..).zip(&walk) {
                let source = model.source();
                let catalog = parse("resources.graphql", &source).unwrap_or_else(|problems| panic!("{problems}"));
                db.prepare(&catalog).await;
                assert!(db.plan(&catalog).await.steps.is_empty(), "there is nothing left to do for\n{source}");
                check_rows(db, &model, position).await;
                model.insert_rows(db).await;
                written.extend(images(&model, position));
                db.run(&format!("UPDATE tandem_head SET position = {position}")).await;
                model.forget_names(step[0][3]);
                step.iter().for_each(|dice| model.change(dice));
            }
            db.prepare(&parse("resources.graphql", &model.source()).unwrap()).await;
            check_rows(db, &model, 0).await;
            check_events(db, &model, &written).await;
        })
        .await;
    }
}
