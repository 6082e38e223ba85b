package strength

import (
	"strings"
	"sync"
	_ "unsafe" // for go:linkname

	"github.com/trustelem/zxcvbn"
	"github.com/trustelem/zxcvbn/frequency"
	_ "github.com/trustelem/zxcvbn/matching" // whose dictionaries they are
)

// most bounds what is looked at, in bytes: zxcvbn's time grows faster than its input.
const most = 72

// dictionaries are the library's: the rank of a word, by the name of its list.
//
//go:linkname dictionaries github.com/trustelem/zxcvbn/matching.defaultRankedDictionnaries
var dictionaries struct{ lists map[string]map[string]int }

// The library reads them in while the program starts; here they go again.
func init() { dictionaries.lists = nil }

var load = sync.OnceFunc(func() {
	lists := make(map[string]map[string]int, len(frequency.FrequencyLists))
	for name, words := range frequency.FrequencyLists {
		ranks := make(map[string]int, len(words))
		for i, word := range words {
			ranks[strings.ToLower(word)] = i + 1
		}
		lists[name] = ranks
	}
	dictionaries.lists = lists
})

// Score is zxcvbn's: 0 for what is guessed in under a thousand tries, 4 for what
// takes more than ten thousand million.
func Score(password string) int {
	load()
	return zxcvbn.PasswordStrength(password[:min(len(password), most)], nil).Score
}
