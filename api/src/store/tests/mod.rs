//! What must hold on both databases for every type of field: values come back as they went in, and a filter means the
//! same in SQL and on images.

mod filters;
mod reads;
mod round_trip;
mod rows;
