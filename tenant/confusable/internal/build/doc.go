// Command build writes the table of confusable characters from the npm package
// that publishes it. It owns which package that is and which characters are
// kept; it does not own how the table is read (package confusable).
package main
