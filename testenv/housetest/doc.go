// Package housetest gives the tests of a door everything that stands behind it: an
// engine with its parts on a real database, and a clock that the test moves. A
// door's tests put the door before it, and add what they ask of it.
//
// It owns how the parts are put together for tests, tenants and users to be
// there from the start, and how to look at what was counted and logged.
//
// It does not own where databases come from (testenv), how the program is put
// together (cmd/usher, whose tests run the program itself), or any door.
package housetest
