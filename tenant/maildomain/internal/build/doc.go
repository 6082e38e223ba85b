// Command build writes the filters of mail domains from the npm packages that
// publish the lists. It owns which packages these are; it does not own how the
// filters are read (package maildomain).
package main
