//! What the generated types and fields of a resource are called, and which of its fields stand in which of them.
//!
//! The builder of the types and the executor that runs requests against them both ask here, so that a name or a rule
//! about nullability is written down once.

use crate::catalog::names::{new_row, plural};
use crate::catalog::{Access, Allow, Catalog, Field, FieldId, FieldType, Operation, Resource, ResourceId, Scalar};

/// The names of everything that is generated for one resource. For `Product`:
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `Product`
    pub object: String,
    /// `ProductConnection`
    pub connection: String,
    /// `ProductEdge`
    pub edge: String,
    /// `ProductBy`
    pub by: String,
    /// `ProductFilter`
    pub filter: String,
    /// `ProductListFilter`
    pub list_filter: String,
    /// `ProductOrder`
    pub order: String,
    /// `ProductAggregate`
    pub aggregate: String,
    /// `ProductSum`
    pub sum: String,
    /// `ProductAvg`
    pub avg: String,
    /// `ProductMin`
    pub min: String,
    /// `ProductMax`
    pub max: String,
    /// `ProductGroupBy`
    pub group_by: String,
    /// `ProductGroupPage`
    pub group_page: String,
    /// `ProductGroup`
    pub group: String,
    /// `ProductGroupKey`
    pub group_key: String,
    /// `ProductChange`
    pub change: String,
    /// `ProductSnapshot`
    pub snapshot: String,
    /// `ProductPatch`
    pub patch: String,
    /// `CreateProductInput`
    pub create_input: String,
    /// `CreateProductPayload`
    pub create_payload: String,
    /// `UpdateProductInput`
    pub update_input: String,
    /// `UpdateProductPayload`
    pub update_payload: String,
    /// `DeleteProductInput`
    pub delete_input: String,
    /// `DeleteProductPayload`
    pub delete_payload: String,
    /// `UpsertProductInput`
    pub upsert_input: String,
    /// `UpsertProductPayload`
    pub upsert_payload: String,
    /// `NewProduct`
    pub new_row: String,
    /// `CreateProductsInput`
    pub create_many_input: String,
    /// `CreateProductsPayload`
    pub create_many_payload: String,
    /// `UpdateProductsInput`
    pub update_many_input: String,
    /// `UpdateProductsPayload`
    pub update_many_payload: String,
    /// `DeleteProductsInput`
    pub delete_many_input: String,
    /// `DeleteProductsPayload`
    pub delete_many_payload: String,
    /// `product`: the query field that finds one, and the field of payloads that holds it
    pub find_field: String,
    /// `products`: the query field that lists them
    pub list_field: String,
    /// `createProduct`
    pub create_field: String,
    /// `updateProduct`
    pub update_field: String,
    /// `deleteProduct`
    pub delete_field: String,
    /// `upsertProduct`
    pub upsert_field: String,
    /// `createProducts`
    pub create_many_field: String,
    /// `updateProducts`
    pub update_many_field: String,
    /// `deleteProducts`
    pub delete_many_field: String,
    /// `productChanged`
    pub changed_field: String,
    /// `deletedProductId`: the field of the payload of a delete
    pub deleted_id_field: String,
    /// `deletedProductIds`: the field of the payload of a delete of many
    pub deleted_ids_field: String,
}

impl Names {
    /// Those of this resource.
    pub fn of(resource: &Resource) -> Self {
        let name = &resource.name;
        let all = plural(name);
        Self {
            object: name.clone(),
            connection: format!("{name}Connection"),
            edge: format!("{name}Edge"),
            by: format!("{name}By"),
            filter: format!("{name}Filter"),
            list_filter: format!("{name}ListFilter"),
            order: format!("{name}Order"),
            aggregate: format!("{name}Aggregate"),
            sum: format!("{name}Sum"),
            avg: format!("{name}Avg"),
            min: format!("{name}Min"),
            max: format!("{name}Max"),
            group_by: format!("{name}GroupBy"),
            group_page: format!("{name}GroupPage"),
            group: format!("{name}Group"),
            group_key: format!("{name}GroupKey"),
            change: format!("{name}Change"),
            snapshot: format!("{name}Snapshot"),
            patch: format!("{name}Patch"),
            create_input: format!("Create{name}Input"),
            create_payload: format!("Create{name}Payload"),
            update_input: format!("Update{name}Input"),
            update_payload: format!("Update{name}Payload"),
            delete_input: format!("Delete{name}Input"),
            delete_payload: format!("Delete{name}Payload"),
            upsert_input: format!("Upsert{name}Input"),
            upsert_payload: format!("Upsert{name}Payload"),
            new_row: new_row(name),
            create_many_input: format!("Create{all}Input"),
            create_many_payload: format!("Create{all}Payload"),
            update_many_input: format!("Update{all}Input"),
            update_many_payload: format!("Update{all}Payload"),
            delete_many_input: format!("Delete{all}Input"),
            delete_many_payload: format!("Delete{all}Payload"),
            find_field: resource.singular.clone(),
            list_field: resource.plural.clone(),
            create_field: format!("create{name}"),
            update_field: format!("update{name}"),
            delete_field: format!("delete{name}"),
            upsert_field: format!("upsert{name}"),
            create_many_field: format!("create{all}"),
            update_many_field: format!("update{all}"),
            delete_many_field: format!("delete{all}"),
            changed_field: format!("{}Changed", resource.singular),
            deleted_id_field: format!("deleted{name}Id"),
            deleted_ids_field: format!("deleted{name}Ids"),
        }
    }
}

/// What a column is called in inputs, keys and snapshots: its own name, for a to-one relation `customerId`.
pub fn column_name(field: &Field) -> String {
    match field.ty {
        FieldType::ToOne { .. } => format!("{}Id", field.name),
        _ => field.name.clone(),
    }
}

/// Whether the field of the object type that leads to one related row may be null: it is empty, or the caller may see
/// this row and not the other one.
///
/// It may not where the field is required and the other side is either open to everybody or the very row that decides
/// who may see this one.
pub fn to_one_is_nullable(catalog: &Catalog, resource: ResourceId, field: FieldId) -> bool {
    let owner = catalog.resource(resource);
    let relation = owner.field(field);
    let Some(target) = relation.to_one() else { return relation.nullable || relation.rules.is_some() };
    let decides = matches!(owner.access, Access::Inherit(via) if via == field);
    relation.nullable || relation.rules.is_some() || !(decides || everybody_reads(catalog, target))
}

fn everybody_reads(catalog: &Catalog, resource: ResourceId) -> bool {
    let resource = catalog.resource(resource);
    match &resource.access {
        Access::Rules(rules) => {
            rules.iter().any(|rule| matches!(rule.allow, Allow::Public) && rule.operations.contains(Operation::Read))
        }
        Access::Inherit(via) => resource.field(*via).to_one().is_some_and(|parent| everybody_reads(catalog, parent)),
    }
}

/// A way to name one row of a resource: a field of `ProductBy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByKey {
    /// Its name in `ProductBy`: `sku`, `customerId`, `orderAndProduct`.
    pub name: String,
    /// Columns and what they are called there, in the order of the key.
    pub fields: Vec<(FieldId, String)>,
    /// The input object that holds the columns of a key of several; `None` for a key of one.
    pub input_type: Option<String>,
}

/// The `id`, then the unique keys of one field, then those of several. Keys with a private field are left out.
pub fn by_keys(catalog: &Catalog, resource: ResourceId) -> Vec<ByKey> {
    let resource = catalog.resource(resource);
    let mut unique: Vec<_> = resource.unique_keys.iter().collect();
    unique.sort_by_key(|key| key.fields.len() > 1);
    let public = unique.into_iter().filter(|key| key.fields.iter().all(|id| !resource.field(*id).private));
    let mut keys = vec![ByKey {
        name: resource.field(Resource::ID).name.clone(),
        fields: vec![(Resource::ID, resource.field(Resource::ID).name.clone())],
        input_type: None,
    }];
    for key in public {
        let fields: Vec<_> = key.fields.iter().map(|id| (*id, column_name(resource.field(*id)))).collect();
        let by_key = match fields.as_slice() {
            [(_, name)] => ByKey { name: name.clone(), fields, input_type: None },
            _ => {
                let own_names = key.fields.iter().map(|id| resource.field(*id).name.as_str());
                let name = own_names.map(capitalized).collect::<Vec<_>>().join("And");
                let input_type = Some(format!("{}By{name}", resource.name));
                ByKey { name: uncapitalized(&name), fields, input_type }
            }
        };
        // A key may be declared twice, on the field and on the type.
        if keys.iter().all(|known| known.name != by_key.name) {
            keys.push(by_key);
        }
    }
    keys
}

/// A to-many field whose rows are created together with the row that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedList {
    /// The to-many field, `lines` of `Order`.
    pub field: FieldId,
    /// The resource of its rows, `OrderLine`.
    pub target: ResourceId,
    /// The to-one field of `target` that points back, which the input of a row leaves out.
    pub via: FieldId,
    /// `OrderLinesInput`, whose field `create` is a list of `item_type`.
    pub input_type: String,
    /// `OrderLinesCreateInput`, one new row.
    pub item_type: String,
}

/// The owned lists of a resource: those whose rows take their access rules from it, or have no mutations of their own.
/// A list whose rows have nothing for a client to set is none.
pub fn owned_lists(catalog: &Catalog, resource: ResourceId) -> Vec<OwnedList> {
    let resource = catalog.resource(resource);
    let lists = resource.fields().filter(|(_, field)| !field.private && !field.read_only);
    lists
        .filter_map(|(id, field)| {
            let FieldType::ToMany { target, via } = field.ty else { return None };
            let child = catalog.resource(target);
            let inherits = matches!(child.access, Access::Inherit(parent) if parent == via);
            let name = format!("{}{}", resource.name, capitalized(&field.name));
            let has_fields = creatable(child).any(|(id, _)| id != via);
            ((inherits || !child.root) && has_fields).then(|| OwnedList {
                field: id,
                target,
                via,
                input_type: format!("{name}Input"),
                item_type: format!("{name}CreateInput"),
            })
        })
        .collect()
}

/// The columns that a client may set on create, in the order of the file.
pub fn creatable(resource: &Resource) -> impl Iterator<Item = (FieldId, &Field)> {
    resource.columns().filter(|(id, field)| !resource.is_system(*id) && !field.private && !field.read_only)
}

/// The columns that a client may set on update: all of [`creatable`] but those that are set once.
pub fn patchable(resource: &Resource) -> impl Iterator<Item = (FieldId, &Field)> {
    creatable(resource).filter(|(_, field)| !field.write_once)
}

/// Whether the resource has an update mutation: there is a field that a client may set on update.
pub fn has_update(resource: &Resource) -> bool {
    patchable(resource).next().is_some()
}

/// Whether a client can say anything about a new row: then rows can be created by the list.
pub fn has_new_row(catalog: &Catalog, id: ResourceId) -> bool {
    creatable(catalog.resource(id)).next().is_some() || !owned_lists(catalog, id).is_empty()
}

/// Whether a create can make a row that this key finds: it sets all of its columns.
pub fn is_creatable_key(resource: &Resource, key: &ByKey) -> bool {
    key.fields.iter().all(|(id, _)| creatable(resource).any(|(field, _)| field == *id))
}

/// Whether the resource has an upsert mutation: rows can be updated, and there is a key that both finds and makes a row.
pub fn has_upsert(catalog: &Catalog, id: ResourceId) -> bool {
    let resource = catalog.resource(id);
    has_update(resource) && by_keys(catalog, id).iter().any(|key| is_creatable_key(resource, key))
}

/// Whether a create must name this field: it is required, and nothing fills it in.
pub fn is_required_on_create(resource: &Resource, id: FieldId) -> bool {
    let field = resource.field(id);
    !field.nullable && field.default.is_none() && !is_owner_field(resource, id)
}

/// Whether a create without this field fills in the caller's `sub`, because an OWNER rule compares it with that.
pub fn is_owner_field(resource: &Resource, id: FieldId) -> bool {
    match &resource.access {
        Access::Rules(rules) => rules.iter().any(|rule| matches!(rule.allow, Allow::Owner(owner) if owner == id)),
        Access::Inherit(_) => false,
    }
}

/// The GraphQL type of one value of this type, without list and null: `ID` for foreign keys; `None` for to-many fields.
pub fn value_type<'a>(catalog: &'a Catalog, ty: &FieldType) -> Option<&'a str> {
    match ty {
        FieldType::RowId | FieldType::ToOne { .. } => Some(Scalar::Id.name()),
        FieldType::Scalar(scalar) | FieldType::ScalarList(scalar) => Some(scalar.name()),
        FieldType::Enum(id) | FieldType::EnumList(id) => Some(&catalog.enum_type(*id).name),
        FieldType::ToMany { .. } => None,
    }
}

/// The input object that tests a column of this type, `StringFilter`; for a to-one field that of its foreign key;
/// `None` for to-many fields.
pub fn filter_type(catalog: &Catalog, ty: &FieldType) -> Option<String> {
    let value = value_type(catalog, ty)?;
    Some(match ty {
        FieldType::RowId | FieldType::ToOne { .. } => "NodeIDFilter".to_owned(),
        FieldType::Scalar(_) | FieldType::Enum(_) => format!("{value}Filter"),
        FieldType::ScalarList(_) | FieldType::EnumList(_) => format!("{value}ListFilter"),
        FieldType::ToMany { .. } => return None,
    })
}

/// Whether rows can be ordered by a column of this type.
pub fn is_orderable(ty: &FieldType) -> bool {
    match ty {
        FieldType::RowId | FieldType::Enum(_) => true,
        FieldType::Scalar(scalar) => *scalar != Scalar::Json,
        FieldType::ScalarList(_) | FieldType::EnumList(_) | FieldType::ToOne { .. } | FieldType::ToMany { .. } => false,
    }
}

fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn uncapitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}
