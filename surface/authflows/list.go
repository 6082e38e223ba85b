package authflows

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// How many records a page has.
const (
	usualLimit = 20
	maxLimit   = 100
)

// listOut is a page of records.
type listOut struct {
	Status    string     `json:"status"`
	Summaries []*summary `json:"summaries"`
	Next      *string    `json:"next"` // the after of the next page; null on the last one
}

func (a *api) list(q *surface.Request) (any, error) {
	if _, err := a.admit(q, admin.ReadRuns); err != nil {
		return nil, err
	}
	filter, page, err := asked(q)
	if err != nil {
		return nil, err
	}
	limit := page.Limit
	page.Limit++ // one more says whether there is another page
	runs, err := a.store.Runs(q.Context(), q.Tenant.ID, filter, page)
	if err == nil && len(runs) == 0 && filter.UserID != "" {
		id, _ := tenant.PFIDOf(filter.UserID, q.Tenant.Partition) // it was made of one
		err = a.expect(q.Context(), q.Tenant, "user_id", id, "user")
	}
	if err != nil {
		return nil, err
	}
	out := &listOut{Status: success, Summaries: []*summary{}}
	for _, r := range runs[:min(len(runs), limit)] {
		out.Summaries = append(out.Summaries, summaryOf(q.Tenant, r))
	}
	if len(runs) > limit {
		out.Next = &runs[limit-1].ID
	}
	return out, nil
}

// asked reads what a list is narrowed to and where it goes on. A parameter that
// isn't known, or that comes twice, is refused: it would narrow nothing.
func asked(q *surface.Request) (filter tenant.RunFilter, page tenant.Page, err error) {
	page.Limit = usualLimit
	given, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return filter, page, tenant.Invalidf("", "syntax", "the query can't be read").Because(err)
	}
	for name, values := range given {
		if len(values) > 1 {
			return filter, page, tenant.Invalidf("", "unique", "%s is there twice", name)
		}
		value := values[0]
		if value == "" {
			continue // as good as absent
		}
		switch name {
		case "status":
			filter.Status, err = oneOf(name, tenant.RunStatus(value), statuses)
		case "type":
			filter.Type, err = oneOf(name, tenant.FlowType(value), tenant.FlowTypes)
		case "user_id":
			filter.UserID, err = userOf(q.Tenant, value)
		case "account_id":
			err = isAccount(q.Tenant, value)
		case "after":
			var id tenant.PFID
			id, err = parseID(q.Tenant, name, value)
			page.After = id.String()
		case "limit":
			page.Limit, err = strconv.Atoi(value)
			if err != nil || page.Limit < 1 || page.Limit > maxLimit {
				err = tenant.Invalidf("/limit", "range", "limit is 1 to %d", maxLimit)
			}
		default:
			err = tenant.Invalidf("", "unknown", "there is no parameter %q", name)
		}
		if err != nil {
			return filter, page, err
		}
	}
	return filter, page, nil
}

var statuses = []tenant.RunStatus{tenant.RunNew, tenant.RunPending, tenant.RunFinished, tenant.RunComplete, tenant.RunCancelled}

func oneOf[T ~string](name string, value T, all []T) (T, error) {
	if !slices.Contains(all, value) {
		var words []string
		for _, v := range all {
			words = append(words, string(v))
		}
		return "", tenant.Invalidf("/"+name, "enum", "%s is one of %s", name, strings.Join(words, ", "))
	}
	return value, nil
}

// userOf reads whose records are meant: the user may be gone, and the records
// not.
func userOf(t *tenant.Tenant, s string) (string, error) {
	id, err := parseID(t, "user_id", s)
	if err != nil {
		return "", err
	}
	uuid, err := id.UUID()
	if err != nil || isDerived(t, id) {
		return "", otherKind("user_id", "user")
	}
	return uuid, nil
}

// isAccount checks that the tenant's account is meant, which has all of its
// records.
func isAccount(t *tenant.Tenant, s string) error {
	id, err := parseID(t, "account_id", s)
	if err == nil && id != accountID(t) {
		err = otherKind("account_id", "account")
	}
	return err
}
