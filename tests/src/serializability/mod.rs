//! Strict serializability: whether what concurrent clients have seen could have happened one operation after the other,
//! each between its request and its reply.
//!
//! [`recorder`] runs clients against a server and writes down what they asked and saw, [`model`] says what a server with
//! one client would have answered, [`checker`] looks for an order that explains everything.

pub mod checker;
pub mod model;
pub mod recorder;
