// Package document reads and writes a tenant's configuration as people and
// scripts hold it: JSON or YAML, the USHER format.
//
// It owns the JSON Schema that is generated from the types of package tenant
// ([Schema], published as docs/config.schema.json), the strict reading of a
// document over [tenant.DefaultConfig] with every problem at once ([Decode],
// [Patch]), the canonical form that versions are kept in and hashed by
// ([Encode]), the form people edit ([YAML]), and the difference of two
// configurations in words ([Diff]).
//
// It does not own what a configuration means: rules over several settings are
// [tenant.CheckConfig], rules of flows are flow.Compile. It holds no secrets,
// for a configuration has none.
package document
