//! What the compiler says when a shape is wrong: each file of `tests/ui` must not compile, with this message.
//!
//! After a change of a message, `TRYBUILD=overwrite cargo test -p course-tests compile_errors` writes it anew: read it
//! as a reader would before you commit it. It must name the rule that was broken.

#[test]
fn wrong_shapes_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail(concat!(env!("CARGO_MANIFEST_DIR"), "/ui/*.rs"));
}
