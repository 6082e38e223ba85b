package flow

import (
	"fmt"

	"github.com/usher-id/usher/tenant"
)

// options are the ways open to this user, and the branch each belongs to.
func options(c *Cursor, s *tenant.Step) (all []Option, branch []int, err error) {
	for i := range s.OneOf {
		os, err := methods[s.OneOf[i].Method()].Options(c, s)
		if err != nil {
			return nil, nil, err
		}
		for _, o := range os {
			all, branch = append(all, o), append(branch, i)
		}
	}
	return all, branch, nil
}

// choose finds the branch that an answer means and hands it to its method. key
// is the one that names the method: identification or authentication.
func choose(c *Cursor, s *tenant.Step, in *Answer, key string) (branch int, v Verdict, err error) {
	name, err := in.text(key)
	if err != nil {
		return 0, v, err
	}
	index, indexed, err := in.number("index")
	if err != nil {
		return 0, v, err
	}
	all, branches, err := options(c, s)
	if err != nil {
		return 0, v, err
	}
	branch = -1
	if indexed {
		if index < 0 || index >= len(all) {
			return 0, v, tenant.Invalidf("/index", "range", "index is between 0 and %d", len(all)-1)
		}
		if all[index][key] == name {
			branch = branches[index]
		}
	} else {
		for i, o := range all {
			if o[key] == name {
				branch = branches[i]
				break
			}
		}
	}
	if branch < 0 {
		return 0, v, notOffered(key, name, all)
	}
	c.method = name
	v, err = methods[name].Take(c, s, in)
	return branch, v, err
}

func notOffered(key, name string, all []Option) error {
	offered := make([]any, 0, len(all))
	for _, o := range all {
		offered = append(offered, o[key])
	}
	return tenant.ErrValidation.Says("%s %q is not among the options here", key, name).
		WithCauses(tenant.Cause{Location: "/" + key, Kind: "enum", Details: map[string]any{"actual": name, "expected": fmt.Sprint(offered)}})
}
