//! A rule's filter for one caller: claims are replaced by their values.
//!
//! A rule whose filter uses a claim that the caller lacks, or that is not of the type of the field it is compared with,
//! admits nobody. So nothing is bound then: no part of the filter may decide alone, since `not` would turn a test that
//! cannot hold into one that always does.

use serde_json::Value;

use super::filter::{RuleValue, Test};
use super::{Catalog, Datum, FieldType, Filter, ResourceId, Scalar};

/// Reads a claim by its path; `None` if the caller has none.
pub type Claims<'a> = &'a dyn Fn(&str) -> Option<Value>;

impl Filter<RuleValue> {
    /// The filter with the claims of a caller. `None` if one of them is missing or has the wrong type: the rule then
    /// admits nobody. `resource` is the one whose rows the filter is about.
    pub fn bind(&self, catalog: &Catalog, resource: ResourceId, claims: Claims<'_>) -> Option<Filter> {
        let all = |filters: &[Self]| filters.iter().map(|f| f.bind(catalog, resource, claims)).collect::<Option<_>>();
        Some(match self {
            Self::Const(value) => Filter::Const(*value),
            Self::And(filters) => Filter::And(all(filters)?),
            Self::Or(filters) => Filter::Or(all(filters)?),
            Self::Not(filter) => Filter::Not(Box::new(filter.bind(catalog, resource, claims)?)),
            Self::Field(field, test) => {
                let ty = &catalog.resource(resource).field(*field).ty;
                Filter::Field(*field, Binder { catalog, resource, ty, claims }.test(test)?)
            }
            Self::Related(field, filter) => {
                let target = catalog.resource(resource).field(*field).to_one()?;
                Filter::Related(*field, Box::new(filter.bind(catalog, target, claims)?))
            }
            Self::Exists(field, filter) => {
                let (target, _) = catalog.resource(resource).field(*field).to_many()?;
                Filter::Exists(*field, Box::new(filter.bind(catalog, target, claims)?))
            }
        })
    }

    /// Whether it depends on who is calling. If not, it admits anyone to the rows that match.
    pub fn uses_claims(&self) -> bool {
        match self {
            Self::Const(_) => false,
            Self::And(filters) | Self::Or(filters) => filters.iter().any(Self::uses_claims),
            Self::Not(filter) | Self::Related(_, filter) | Self::Exists(_, filter) => filter.uses_claims(),
            Self::Field(_, test) => match test {
                Test::IsNull(_) | Test::IsEmpty(_) => false,
                Test::Compare(_, value) | Test::Text(_, value) => value.is_claim(),
                Test::In(values) | Test::NotIn(values) | Test::HasEvery(values) | Test::HasSome(values) => {
                    values.iter().any(RuleValue::is_claim)
                }
            },
        }
    }
}

impl RuleValue {
    fn is_claim(&self) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Claim { .. } | Self::ClaimList { .. } => true,
        }
    }
}

struct Binder<'a> {
    catalog: &'a Catalog,
    resource: ResourceId,
    ty: &'a FieldType,
    claims: Claims<'a>,
}

impl Binder<'_> {
    fn test(&self, test: &Test<RuleValue>) -> Option<Test<Datum>> {
        Some(match test {
            Test::IsNull(expected) => Test::IsNull(*expected),
            Test::IsEmpty(expected) => Test::IsEmpty(*expected),
            Test::Compare(op, value) => Test::Compare(*op, self.one(value)?),
            Test::Text(op, value) => Test::Text(*op, self.one(value)?),
            Test::In(values) => Test::In(self.all(values)?),
            Test::NotIn(values) => Test::NotIn(self.all(values)?),
            Test::HasEvery(values) => Test::HasEvery(self.all(values)?),
            Test::HasSome(values) => Test::HasSome(self.all(values)?),
        })
    }

    /// Where one value stands, a list of values is of the wrong type, even a list of one.
    fn one(&self, value: &RuleValue) -> Option<Datum> {
        match value {
            RuleValue::Literal(datum) => Some(datum.clone()),
            RuleValue::Claim { path } => self.datum(&(self.claims)(path)?),
            RuleValue::ClaimList { .. } => None,
        }
    }

    fn all(&self, values: &[RuleValue]) -> Option<Vec<Datum>> {
        let mut all = Vec::new();
        for value in values {
            match value {
                RuleValue::Literal(_) | RuleValue::Claim { .. } => all.push(self.one(value)?),
                RuleValue::ClaimList { path } => match (self.claims)(path)? {
                    Value::Array(items) => {
                        for item in &items {
                            all.push(self.datum(item)?);
                        }
                    }
                    // Issuers write a list of one as its only item (RFC 7519 does so for `aud`).
                    single => all.push(self.datum(&single)?),
                },
            }
        }
        Some(all)
    }

    fn datum(&self, claim: &Value) -> Option<Datum> {
        let is_text = matches!(
            self.ty,
            FieldType::Scalar(Scalar::String | Scalar::Id) | FieldType::ScalarList(Scalar::String | Scalar::Id)
        );
        let datum = match claim {
            Value::Null => return None,
            Value::Number(number) if is_text => Datum::Text(number.to_string()),
            other => Datum::parse_item(self.catalog, self.resource, self.ty, other).ok()?,
        };
        (!datum.is_null()).then_some(datum)
    }
}
