use entity::{EventId, Position, TransactionId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::catalog::{Image, Row};
use crate::log::ChangeKind;
use crate::testing::STORE;

fn store() -> Catalog {
    crate::catalog::parse("resources.graphql", STORE).unwrap()
}

fn find(catalog: &Catalog, field: &str) -> FieldId {
    catalog.resource(order(catalog)).find(field).unwrap()
}

fn order(catalog: &Catalog) -> ResourceId {
    catalog.find("Order").unwrap()
}

/// Few of them, so that rows and filters meet.
fn uuid(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// Values of a field of an order.
fn value(catalog: &Catalog, name: &'static str) -> BoxedStrategy<(FieldId, Datum)> {
    let field = find(catalog, name);
    let text = |texts: &'static [&'static str]| {
        prop::sample::select(texts).prop_map(|text| Datum::Text(text.to_owned())).boxed()
    };
    let value = match name {
        "id" | "customer" => (0..4_u8).prop_map(|number| Datum::Uuid(uuid(number))).boxed(),
        "status" => text(&["DRAFT", "PAID"]),
        "note" => prop_oneof![4 => text(&["", "a", "b"]), 1 => Just(Datum::Null)].boxed(),
        _ => (0..3_i64).prop_map(Datum::Int).boxed(),
    };
    value.prop_map(move |value| (field, value)).boxed()
}

fn any_value(catalog: &Catalog) -> BoxedStrategy<(FieldId, Datum)> {
    let values = ["id", "customer", "status", "note", "number"].map(|name| value(catalog, name));
    prop::strategy::Union::new(values).boxed()
}

fn filter(catalog: &Catalog) -> BoxedStrategy<Filter> {
    let customer = find(catalog, "customer");
    let test = any_value(catalog).prop_flat_map(|(field, value)| {
        let tests = vec![
            Test::Compare(CompareOp::Eq, value.clone()),
            Test::Compare(CompareOp::Neq, value.clone()),
            Test::Compare(CompareOp::Gte, value.clone()),
            Test::In(vec![value.clone()]),
            Test::In(Vec::new()),
            Test::NotIn(vec![value]),
            Test::IsNull(true),
        ];
        prop::sample::select(tests).prop_map(move |test| Filter::Field(field, test))
    });
    let id = (0..4_u8).prop_map(|number| {
        Filter::Field(Resource::ID, Test::In(vec![Datum::Uuid(uuid(number)), Datum::Uuid(uuid(number + 1))]))
    });
    let other = prop_oneof![3 => id, 1 => any::<bool>().prop_map(Filter::Const)];
    let leaf = prop_oneof![
        6 => test,
        2 => other.prop_map(move |other| Filter::Related(customer, Box::new(other))),
        1 => any::<bool>().prop_map(Filter::Const),
    ];
    let tree = leaf.prop_recursive(3, 16, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            3 => some.clone().prop_map(Filter::And),
            2 => some.prop_map(Filter::Or),
            1 => inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    });
    tree.boxed()
}

fn row(catalog: &Catalog) -> BoxedStrategy<Arc<Row>> {
    let width = catalog.resource(order(catalog)).fields.len();
    let values = ["id", "customer", "status", "note", "number"].map(|name| value(catalog, name));
    let row = Vec::from(values).prop_map(move |values| {
        let mut row = Row(vec![Datum::Null; width]);
        values.into_iter().for_each(|(field, value)| row.set(field, value));
        Arc::new(row)
    });
    row.boxed()
}

fn event(resource: ResourceId, before: Option<Arc<Row>>, after: Option<Arc<Row>>) -> Event {
    Event {
        position: Position::new(1).unwrap(),
        id: EventId::new(),
        transaction_id: TransactionId::new(),
        resource,
        row_id: uuid(0),
        version: 1,
        kind: ChangeKind::Updated,
        changed_fields: Vec::new(),
        before,
        after,
        at: 0,
        by: None,
    }
}

/// The row of an order, with its customer.
fn image(catalog: &Catalog, row: &Arc<Row>) -> Image {
    let customer = find(catalog, "customer");
    let width = catalog.resource(catalog.find("Customer").unwrap()).fields.len();
    let mut other = Row(vec![Datum::Null; width]);
    other.set(Resource::ID, row.get(customer).clone());
    let mut image = Image::alone(Arc::clone(row));
    image.related.push((customer, Some(Arc::new(Image::alone(Arc::new(other))))));
    image
}

fn found(index: &Index<usize>, event: &Event) -> std::collections::BTreeSet<usize> {
    let mut found = std::collections::BTreeSet::new();
    index.find(event, |thing| {
        found.insert(**thing);
    });
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever sees the row before or after an event is found, and who is not found or ruled out by the row alone sees
    /// neither.
    #[test]
    fn it_finds_all_whom_an_event_concerns(
        filters in prop::collection::vec(filter(&store()), 1..40),
        images in prop::collection::vec((prop::option::of(row(&store())), prop::option::of(row(&store()))), 1..8),
    ) {
        let catalog = store();
        let resource = order(&catalog);
        let mut index = Index::new();
        let things: Vec<_> = (0..filters.len()).map(Arc::new).collect();
        for (filter, thing) in filters.iter().zip(&things) {
            index.insert(&catalog, resource, filter, thing);
        }
        for (before, after) in images {
            let rows: Vec<_> = [&before, &after].into_iter().flatten().cloned().collect();
            let found = found(&index, &event(resource, before, after));
            for (place, filter) in filters.iter().enumerate() {
                let sees = rows.iter().any(|row| filter.matches(&image(&catalog, row)));
                prop_assert!(found.contains(&place) || !sees, "{filter:?} of {rows:?}");
                for row in &rows {
                    let (decided, matches) = (filter.decide(row), filter.matches(&image(&catalog, row)));
                    prop_assert!(decided.is_none_or(|decided| decided == matches), "{filter:?} of {row:?}");
                }
            }
        }
        for (filter, thing) in filters.iter().zip(&things) {
            index.remove(&catalog, resource, filter, thing);
        }
        prop_assert!(index.is_empty());
    }
}

#[test]
fn an_equality_is_found_by_its_value_alone() {
    let catalog = store();
    let resource = order(&catalog);
    let eq = |name, value| Filter::Field(find(&catalog, name), Test::Compare(CompareOp::Eq, value));
    let text = |text: &str| Datum::Text(text.to_owned());
    let id = |number| Datum::Uuid(uuid(number));
    let customer = |number| {
        let other = Filter::Field(Resource::ID, Test::Compare(CompareOp::Eq, id(number)));
        Filter::Related(find(&catalog, "customer"), Box::new(Filter::And(vec![Filter::Const(true), other])))
    };
    let filters = [
        eq("id", id(1)),
        eq("id", id(2)),
        // The rarest value counts.
        Filter::And(vec![eq("status", text("PAID")), eq("id", id(3))]),
        eq("status", text("PAID")),
        customer(1),
        customer(2),
        Filter::Or(vec![eq("id", id(1)), eq("note", text("x"))]),
        Filter::Const(false),
        Filter::Not(Box::new(eq("id", id(1)))),
    ];
    let mut index = Index::new();
    for (place, filter) in filters.iter().enumerate() {
        index.insert(&catalog, resource, filter, &Arc::new(place));
    }
    let row = |number, status: &str, note: &str, of| {
        let mut row = Row(vec![Datum::Null; catalog.resource(resource).fields.len()]);
        for (name, value) in [("id", id(number)), ("status", text(status)), ("note", text(note)), ("customer", id(of))]
        {
            row.set(find(&catalog, name), value);
        }
        Some(Arc::new(row))
    };
    let looked_up = |before, after| found(&index, &event(resource, before, after)).into_iter().collect::<Vec<_>>();
    assert_eq!(looked_up(None, row(1, "DRAFT", "", 9)), [0, 6, 8]);
    assert_eq!(looked_up(row(2, "DRAFT", "", 9), row(2, "PAID", "", 9)), [1, 3, 8]);
    assert_eq!(looked_up(row(3, "PAID", "x", 1), row(3, "DRAFT", "", 2)), [2, 3, 4, 5, 6, 8]);
    let elsewhere = event(catalog.find("Product").unwrap(), None, None);
    assert!(found(&index, &elsewhere).is_empty());
}
