package document

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// phrase says in words what became of a value, after the words for its place.
func phrase(p place, kind ChangeKind, before, after any) string {
	switch kind {
	case Added:
		if _, simple := after.(object); simple || leaf(p, after) {
			return " added"
		}
		return " set to " + value(p, after)
	case Removed:
		if _, simple := before.(object); simple || leaf(p, before) {
			return " removed"
		}
		return " no longer set; was " + value(p, before)
	case Moved:
		return fmt.Sprintf(" moved from place %s to %s", place1(before), place1(after))
	}
	if on, ok := after.(bool); ok {
		if on {
			return " turned on"
		}
		return " turned off"
	}
	return fmt.Sprintf(" changed from %s to %s", value(p, before), value(p, after))
}

// leaf says that a value is an entry of a list of words, whose name is the
// value itself.
func leaf(p place, v any) bool {
	s, ok := v.(string)
	return ok && len(p.words) > 0 && p.words[len(p.words)-1] == s
}

// place1 counts places in a list from 1, as people do.
func place1(index any) string {
	n, _ := index.(json.Number)
	i, _ := strconv.Atoi(n.String())
	return strconv.Itoa(i + 1)
}

// value writes a value in words; spans of time with their unit.
func value(p place, v any) string {
	if n, ok := v.(json.Number); ok && strings.HasSuffix(p.at[len(p.at)-1], "_seconds") {
		if s, err := n.Int64(); err == nil {
			return span(time.Duration(s) * time.Second)
		}
	}
	switch v := v.(type) {
	case nil:
		return "nothing"
	case bool:
		if v {
			return "on"
		}
		return "off"
	case object, []any:
		text, err := json.Marshal(exposed(v))
		must(err)
		return short(string(text))
	}
	return shown(v)
}

// span writes a time span in the largest unit that it is a whole number of.
func span(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := d / u.size; n > 0 && d%u.size == 0 {
			return plural(int(n), u.name)
		}
	}
	return plural(int(d/time.Second), "second")
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
