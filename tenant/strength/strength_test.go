package strength

import (
	"reflect"
	"strings"
	"sync"
	"testing"
)

// Variables are set before any init, so these are as the library reads them in.
var asRead = dictionaries.lists

func TestNothingIsInMemoryBeforeTheFirstQuestion(t *testing.T) {
	if dictionaries.lists != nil {
		t.Error("the dictionaries are still there")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got := Score("zxcvbn"); got != 0 {
				t.Errorf("zxcvbn has the score %d", got)
			}
		})
	}
	all.Wait()
	if len(asRead) == 0 || !reflect.DeepEqual(dictionaries.lists, asRead) {
		t.Error("the dictionaries differ from what the library reads in")
	}
}

func TestScore(t *testing.T) {
	for password, want := range map[string]int{ // as the demo of zxcvbn shows them
		"": 0, "password": 0, "Tr0ub4dour&3": 2, "correcthorsebatterystaple": 4, "D0g..................": 1,
		"verlineVANDERMARK": 4, "rWibMFACxAUGZmxhVncy": 4, "eheuczkqyq": 3, "neverforget13/3/1997": 3, "\xff\xff": 0,
	} {
		if got := Score(password); got != want {
			t.Errorf("Score(%q) = %d, want %d", password, got, want)
		}
	}
	if got := Score(strings.Repeat("aB3$", 1<<18)); got > 4 { // a megabyte, which would take years as a whole
		t.Errorf("a megabyte has the score %d", got)
	}
}
