// Command sections writes the part of the schema that shows and edits the
// configuration: a type and an update mutation for every section, made from the
// types of package tenant, whose tags describe them. So a new setting is one
// field in package tenant.
//
// It owns graph/schema/sections.graphql. It does not own the rest of the schema
// nor the resolvers, which are one line for each section.
package main
