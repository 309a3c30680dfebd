//! Not trusted: a bug here can reject, never admit. From parsed source to an image with
//! annotations.
//!
//! [`resolve`] reads files and gives names meaning, [`lower`] makes a [`lowered::Lowered`] of them:
//! encoded text, types, signatures, data, with what the programmer wrote about labels kept beside
//! it. [`infer`] finds the state of every label, [`find`] answers the judge's questions by search
//! (with [`prove`] for certificates), and writes the answers down: the annotations. The judge that
//! runs meanwhile is `tal-core`'s own driver on the encoded bytes, so a program is judged here
//! exactly as a loader will judge it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod annotate;
pub mod asm;
pub mod check;
pub mod codes;
pub mod compiled;
pub mod console;
mod cuts;
pub mod directives;
pub mod elaborate;
pub mod encodings;
pub mod explore;
pub mod files;
pub mod find;
pub mod flow;
pub mod host;
pub mod infer;
pub mod interface;
mod joins;
pub mod kept;
pub mod layout;
pub mod lower;
pub mod lowered;
pub mod needed;
pub mod part;
mod plan;
pub mod prove;
pub mod refusal;
pub mod refused;
mod renorm;
pub mod report;
pub mod resolve;
mod scopes;
pub mod show;
mod simplex;
pub mod unify;
