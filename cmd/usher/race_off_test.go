//go:build !race

package main

// raceFlags builds the program under test the way the tests are built.
var raceFlags []string
