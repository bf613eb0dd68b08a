//! One table of cases for every type of field: values, operators of filters, orders, directions of pages.
//!
//! Both databases must give the same bytes, and those that the tables say. `values` holds the values in their order, so
//! what a filter or an order has to give follows from places in that list.

mod channels;
mod combined;
mod filters;
mod orders;
mod pages;
mod refused;
mod shelf;
mod store;
mod values;
