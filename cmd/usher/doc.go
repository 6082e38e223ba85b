// Command usher is the whole product in one program: the server and the tools
// of those who run it.
//
// It owns the process: its settings (flags, environment and file are one list),
// which package is given which (wire.go, the one place that knows them all), the
// listeners, health, the metrics of the process and the database, starting and
// stopping, and the command line.
//
// It does not own what any of that does: a command reads its arguments, calls
// flowengine/admin or tenant/document and prints the answer. Nothing imports it.
package main
