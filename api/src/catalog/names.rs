//! Names that follow from the names in the resource file.
//!
//! Everything that speaks of a resource by another name than its own takes it from here, so that the API, the tables,
//! the ids and the events agree, and so that the parser can refuse names that would collide.

/// `OrderLine` → `orderLine`: the root field that finds one, and the name in payloads.
pub fn singular(type_name: &str) -> String {
    let words = words(type_name);
    let mut name = words.first().map_or_else(String::new, |word| word.to_ascii_lowercase());
    name.extend(words.iter().skip(1).copied());
    name
}

/// `orderLine` → `orderLines`, by the plain rules of English.
pub fn plural(singular: &str) -> String {
    let lower = singular.to_ascii_lowercase();
    let after_consonant = |y: &str| !y.is_empty() && !y.ends_with(['a', 'e', 'i', 'o', 'u']);
    match lower.strip_suffix('y') {
        Some(stem) if after_consonant(stem) => format!("{}ies", &singular[..singular.len() - 1]),
        _ if ["s", "x", "ch", "sh"].iter().any(|end| lower.ends_with(end)) => format!("{singular}es"),
        _ => format!("{singular}s"),
    }
}

/// `OrderLine` → `order_line`: prefix of ids and events, and name of the table.
pub fn prefix(type_name: &str) -> String {
    snake_case(type_name)
}

/// `unitPrice` → `unit_price`: the column of a field that is no relation.
pub fn column(field_name: &str) -> String {
    snake_case(field_name)
}

/// `customer` → `customer_id`: the column of a to-one relation.
pub fn foreign_key_column(field_name: &str) -> String {
    format!("{}_id", snake_case(field_name))
}

/// `customer` → `customerId`: how inputs, filters and snapshots name the foreign key of a to-one relation.
pub fn foreign_key_field(field_name: &str) -> String {
    format!("{field_name}Id")
}

/// `product` → `productChanged`: the subscription to the changes of a resource.
pub fn changed_field(singular: &str) -> String {
    format!("{singular}Changed")
}

/// Every type of the API that is made for a resource, its own name left out.
pub fn types_of_resource(type_name: &str) -> Vec<String> {
    let suffixes = [
        "Aggregate",
        "Avg",
        "By",
        "Change",
        "Connection",
        "Edge",
        "Filter",
        "Group",
        "GroupBy",
        "GroupKey",
        "GroupPage",
        "ListFilter",
        "Max",
        "Min",
        "Order",
        "Patch",
        "Snapshot",
        "Sum",
    ];
    let mut names: Vec<_> = suffixes.iter().map(|suffix| format!("{type_name}{suffix}")).collect();
    names.push(new_row(type_name));
    for verb in ["Create", "Update", "Delete", "Upsert"] {
        names.extend(["Input", "Payload"].map(|end| format!("{verb}{type_name}{end}")));
    }
    for verb in ["Create", "Update", "Delete"] {
        names.extend(["Input", "Payload"].map(|end| format!("{verb}{}{end}", plural(type_name))));
    }
    names
}

/// `Product` → `NewProduct`: a new row in the inputs of mutations that take more than one.
pub fn new_row(type_name: &str) -> String {
    format!("New{type_name}")
}

/// The types of the API that are made for a list of related rows: those that create its rows with their parent.
pub fn types_of_list(type_name: &str, field_name: &str) -> [String; 2] {
    let name = format!("{type_name}{}", capitalized(field_name));
    [format!("{name}Input"), format!("{name}CreateInput")]
}

/// The type of the API that names one row by a key of several fields: `OrderLineByOrderAndProduct`.
pub fn type_of_key(type_name: &str, field_names: &[&str]) -> String {
    let fields: Vec<_> = field_names.iter().map(|name| capitalized(name)).collect();
    format!("{type_name}By{}", fields.join("And"))
}

/// Every type of the API that is made for an enum of the file, or for a scalar, its own name left out.
pub fn types_of_scalar(type_name: &str) -> [String; 2] {
    [format!("{type_name}Filter"), format!("{type_name}ListFilter")]
}

fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn snake_case(name: &str) -> String {
    words(name).join("_").to_ascii_lowercase()
}

/// The words of a name in camel case: `HTTPServer2Go` is `HTTP`, `Server2`, `Go`.
fn words(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let starts_word = |i: &usize| {
        let (before, here) = (bytes[i - 1], bytes[*i]);
        let next_is_lower = bytes.get(i + 1).is_some_and(u8::is_ascii_lowercase);
        here.is_ascii_uppercase() && (!before.is_ascii_uppercase() || next_is_lower)
    };
    let mut words = Vec::new();
    let mut start = 0;
    for end in (1..bytes.len()).filter(starts_word).chain([bytes.len()]) {
        words.push(&name[start..end]);
        start = end;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types() {
        for (name, one, many, table) in [
            ("Product", "product", "products", "product"),
            ("OrderLine", "orderLine", "orderLines", "order_line"),
            ("Category", "category", "categories", "category"),
            ("Key", "key", "keys", "key"),
            ("Address", "address", "addresses", "address"),
            ("Box", "box", "boxes", "box"),
            ("Branch", "branch", "branches", "branch"),
            ("Wish", "wish", "wishes", "wish"),
            ("Y", "y", "ys", "y"),
            ("HTTPServer", "httpServer", "httpServers", "http_server"),
            ("SKU", "sku", "skus", "sku"),
            ("OrderURL", "orderURL", "orderURLs", "order_url"),
        ] {
            assert_eq!(singular(name), one);
            assert_eq!(plural(&singular(name)), many);
            assert_eq!(prefix(name), table);
        }
    }

    #[test]
    fn names_of_fields() {
        for (name, expected) in
            [("sku", "sku"), ("unitPrice", "unit_price"), ("line2Text", "line2_text"), ("orderURL", "order_url")]
        {
            assert_eq!(column(name), expected);
        }
        assert_eq!(foreign_key_column("billingAddress"), "billing_address_id");
        assert_eq!(foreign_key_field("billingAddress"), "billingAddressId");
        assert_eq!(changed_field("orderLine"), "orderLineChanged");
    }

    #[test]
    fn types_in_the_api() {
        let names = types_of_resource("Category");
        for name in ["CategoryChange", "CategoryOrder", "CreateCategoryInput", "UpdateCategoriesPayload"] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        assert_eq!(types_of_list("Order", "lines"), ["OrderLinesInput", "OrderLinesCreateInput"]);
        assert_eq!(type_of_key("OrderLine", &["order", "product"]), "OrderLineByOrderAndProduct");
        assert_eq!(types_of_scalar("Mood"), ["MoodFilter", "MoodListFilter"]);
    }

    #[test]
    fn a_column_name_has_no_place_for_surprises() {
        assert_eq!(snake_case(""), "");
        assert_eq!(snake_case("__é"), "__é");
    }
}
