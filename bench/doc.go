// Command bench judges Usher against the gates of docs/performance.md: it builds
// and starts the real program, drives it over HTTP, and prints what each
// operation costs as a ratio to yardsticks that it measures in the same run.
//
//	go run ./bench            the full run, about 25 minutes
//	go run ./bench -smoke     every scenario once, within a minute; fails on errors only
//
// Absolute numbers are a machine's; ratios travel. The yardsticks run in a child
// process, so that their CPU is counted apart from the load generator's:
//
//	E   a chi handler that decodes and encodes 1 KiB of JSON
//	H   one password hash of golang.org/x/crypto, in a loop
//	R   one native database read (SQLite: modernc; PostgreSQL: pgx)
//	W   one native database insert, committed
//
// What is compared runs in turns, in slices of a few seconds; a figure is the
// median over the rounds, with the least and the greatest. CPU is that of the
// server and the database together. Every answer is checked, and one that is
// wrong voids what it was measured for.
//
// It does not own what correct is (the tests), what is fast enough (the gates
// are copied from docs/performance.md), or how the program gets that fast. No
// test depends on its timings.
package main
