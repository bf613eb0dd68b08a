//! The shop's tables as SeaORM's entities, with the columns that the tree shows.

macro_rules! entity {
    ($name:ident, $table:literal, { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        pub mod $name {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: Uuid,
                $($(#[$attribute])* pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

entity!(customer, "customer", { name: Option<String>, email: String, });
entity!(order, "order", { number: i64, status: String, customer_id: Uuid, });
entity!(line, "order_line", {
    order_id: Uuid,
    quantity: i32,
    // Of a type that the databases do not share.
    #[sea_orm(select_as = "text")]
    unit_price: String,
    product_id: Uuid,
});
entity!(product, "product", {
    sku: String,
    name: String,
    #[sea_orm(select_as = "text")]
    price: String,
});
