// Command build writes the filter of breached passwords from the npm packages
// that publish them. It owns which packages these are; it does not own how the
// filter is read (package breached).
package main
