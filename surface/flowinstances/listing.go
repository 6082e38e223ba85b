package flowinstances

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/usher-id/usher/tenant"
)

// collection is a list that clients page through.
type collection struct {
	path    string
	rows    func(c *catalog) []row
	filters map[string]filter // by the parameter of the query
	search  []string          // the keys that search looks at
	order   string            // the key that it is ordered by unless the client says
	why     string            // its entries can't be written
}

// row is an entry of a collection: the keys that it is found and ordered by, and
// the others, which are made for those entries that are sent.
type row struct {
	object
	more func() object // nil for none
}

// whole is the row with all its keys.
func (r row) whole() object {
	if r.more != nil {
		maps.Copy(r.object, r.more())
	}
	return r.object
}

// filter is a parameter that keeps the rows whose key has its value.
type filter struct {
	key    string
	values []string                  // that it may have; nil for any
	also   func(value string) string // another way to say the same value; nil for none
}

// The pages.
const (
	usualPage = 100
	maxPage   = 100
)

var errPage = tenant.ErrNotFound.Says("there is no such page")

// list makes the handler that answers with a page of a collection.
func list(l collection) handler {
	return func(c *call) (any, error) {
		query := c.URL.Query()
		rows, err := l.filtered(l.rows(c.catalog), query)
		if err != nil {
			return nil, err
		}
		sortBy(rows, cmp.Or(query.Get("ordering"), l.order))
		return paged(rows, query)
	}
}

// filtered keeps the rows that the query asks for.
func (l *collection) filtered(rows []row, query url.Values) ([]row, error) {
	var problems []tenant.Problem
	for parameter, f := range l.filters {
		want := query.Get(parameter)
		if want == "" {
			continue
		}
		if f.values != nil && !slices.Contains(f.values, want) {
			problems = append(problems, tenant.Problem{Pointer: "/" + parameter, Reason: "invalid_choice",
				Message: fmt.Sprintf("%q is not one of %s.", want, strings.Join(f.values, ", "))})
		}
		if f.key == "pk" && uuid.Validate(want) != nil {
			problems = append(problems, tenant.Problem{Pointer: "/" + parameter, Reason: "invalid", Message: "It is no UUID."})
		}
		if f.also != nil {
			want = f.also(want)
		}
		rows = slices.DeleteFunc(rows, func(r row) bool { return fmt.Sprint(r.object[f.key]) != want })
	}
	if len(problems) > 0 {
		return nil, tenant.Problems(problems)
	}
	term := strings.ToLower(query.Get("search"))
	if term == "" {
		return rows, nil
	}
	return slices.DeleteFunc(rows, func(r row) bool {
		return !slices.ContainsFunc(l.search, func(key string) bool {
			return strings.Contains(strings.ToLower(fmt.Sprint(r.object[key])), term)
		})
	}), nil
}

// maxKeys is how many keys order a list; those after them don't.
const maxKeys = 4

// sortBy orders rows, which all have the same keys, by some of these, each with
// a hyphen before it for the other direction. A key that they don't have orders
// nothing.
func sortBy(rows []row, by string) {
	var keys []string
	for key := range strings.SplitSeq(by, ",") {
		key = strings.TrimSpace(key)
		if len(rows) == 0 || len(keys) == maxKeys {
			break
		}
		if _, known := rows[0].object[strings.TrimPrefix(key, "-")]; known {
			keys = append(keys, key)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		for _, key := range keys {
			name, down := strings.CutPrefix(key, "-")
			x, y := a.object[name], b.object[name]
			order := cmp.Compare(fmt.Sprint(x), fmt.Sprint(y))
			if n, ok := x.(int); ok {
				order = n - y.(int)
			}
			if down {
				order = -order
			}
			if order != 0 {
				return order
			}
		}
		return 0
	})
}

// paged is one page in its envelope. There is always a first one.
func paged(rows []row, query url.Values) (any, error) {
	size, err := strconv.Atoi(query.Get("page_size"))
	if err != nil || size < 1 {
		size = usualPage
	}
	size = min(size, maxPage)
	pages := max(1, (len(rows)+size-1)/size)
	current := 1
	if asked := query.Get("page"); asked != "" {
		if current, err = strconv.Atoi(asked); err != nil || current < 1 || current > pages {
			return nil, errPage
		}
	}
	from, to := (current-1)*size, min(current*size, len(rows))
	next := current + 1
	if current == pages {
		next = 0
	}
	results := make([]object, 0, to-from)
	for _, r := range rows[from:to] {
		results = append(results, r.whole())
	}
	return object{
		"pagination": object{
			"next": next, "previous": current - 1, "count": len(rows), "current": current, "total_pages": pages,
			"start_index": min(from+1, len(rows)), "end_index": to,
		},
		"results": results, "autocomplete": object{},
	}, nil
}

// row finds the entry that the path names.
func (l *collection) row(c *call) (row, error) {
	pk := chi.URLParam(c.Request.Request, "pk")
	for _, r := range l.rows(c.catalog) {
		if r.object["pk"] == pk {
			return r, nil
		}
	}
	return row{}, tenant.ErrNotFound
}

func (l *collection) retrieve(c *call) (any, error) {
	r, err := l.row(c)
	if err != nil {
		return nil, err
	}
	return r.whole(), nil
}

// usedBy: nothing but flows uses what is in these collections, and it shows in
// them which.
func (l *collection) usedBy(c *call) (any, error) {
	_, err := l.row(c)
	return []object{}, err
}

// readOnly refuses a write.
func (l *collection) readOnly(c *call) (any, error) {
	if chi.URLParam(c.Request.Request, "pk") != "" {
		if _, err := l.row(c); err != nil {
			return nil, err
		}
	}
	return nil, tenant.Invalidf("", "read_only", "%s", l.why)
}

var instanceList = collection{
	rows: func(c *catalog) []row {
		out := make([]row, 0, len(c.instances))
		for _, i := range c.instances {
			out = append(out, row{object: c.show(i)})
		}
		return out
	},
	filters: map[string]filter{
		"flow_uuid": {key: "pk"}, "name": {key: "name"}, "slug": {key: "slug", also: unaliased},
		"designation": {key: "designation", values: designations}, "denied_action": {key: "denied_action", values: deniedActions},
	},
	search: []string{"name", "slug", "designation", "title"},
	order:  "name",
}

// unaliased is the slug that an alias stands for.
func unaliased(slug string) string {
	if ref, ok := aliases[slug]; ok {
		return string(ref.Type) + "-" + ref.Name
	}
	return slug
}
