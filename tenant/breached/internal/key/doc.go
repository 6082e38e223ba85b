// Package key owns how a password becomes a key of the filter, which the program
// that builds it and the one that reads it must agree on. It does not own the
// filter.
package key
