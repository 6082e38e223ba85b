package flow

import (
	"encoding/json"
	"fmt"

	"github.com/usher-id/usher/tenant"
)

// options are the ways open to this user, and the branch each belongs to.
func options(c *Cursor, s *tenant.Step) (all []Option, branch []int, err error) {
	all = []Option{}
	for i := range s.OneOf {
		b := &s.OneOf[i]
		m := methods[b.Method()]
		if !m.For(s.Type) {
			continue // such as a recovery code, where a factor is being set up instead of asked for
		}
		os, err := m.Options(c, s, b)
		if err != nil {
			return nil, nil, err
		}
		for _, o := range os {
			if c.program.guarded(b) {
				o.Show["bot_protection"] = c.program.widget()
			}
			all, branch = append(all, o), append(branch, i)
		}
	}
	return all, branch, nil
}

// prompt describes the conversation that the step is in.
func prompt(c *Cursor, s *tenant.Step) (*Action, error) {
	b := &s.OneOf[c.Branch]
	data, err := methods[b.Method()].Prompt(c, s)
	return &Action{Type: s.Type, Identification: b.Identification, Authentication: b.Authentication, Data: data}, err
}

// understands says whether a step with branches reads any key that is left.
func understands(c *Cursor, s *tenant.Step, in *Answer, key string) bool {
	if c.Pending != nil {
		return in.has(methods[s.OneOf[c.Branch].Method()].Keys()...)
	}
	return in.has(key)
}

// take hands an answer to the method in conversation, or finds the branch that
// it means and hands it to that branch's method. key is the one that names the
// method: identification, authentication or setting. While the conversation goes on the
// run stays on the step, and done is false.
func take(c *Cursor, s *tenant.Step, in *Answer, key string) (branch int, v Verdict, done bool, err error) {
	if c.Pending != nil {
		branch = c.Branch
		b := &s.OneOf[branch]
		c.method = b.Method()
		v, err = methods[c.method].Resume(c, s, b, in)
	} else {
		branch, v, err = choose(c, s, in, key)
	}
	if err != nil {
		return 0, v, false, err
	}
	if v.Pending != nil {
		c.Branch, c.Pending, err = branch, nil, nil
		c.Pending, err = marshal(v.Pending)
		return branch, v, false, err
	}
	return branch, v, true, nil
}

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
	if indexed && (index < 0 || index >= len(all)) {
		return 0, v, tenant.Invalidf("/index", "range", "index is between 0 and %d", len(all)-1)
	}
	at := -1
	for i, o := range all {
		if o.Show[key] == name && (!indexed || i == index) {
			at = i
			break
		}
	}
	if at < 0 {
		return 0, v, notOffered(key, name, all)
	}
	c.method = name
	b := &s.OneOf[branches[at]]
	if c.program.guarded(b) {
		if err := c.human(in); err != nil {
			return 0, v, err
		}
	}
	v, err = methods[name].Take(c, s, b, all[at], in)
	return branches[at], v, err
}

func notOffered(key, name string, all []Option) error {
	offered := make([]any, 0, len(all))
	for _, o := range all {
		offered = append(offered, o.Show[key])
	}
	return tenant.ErrValidation.Says("%s %q is not among the options here", key, name).
		WithCauses(tenant.Cause{Location: "/" + key, Kind: "enum", Details: map[string]any{"actual": name, "expected": fmt.Sprint(offered)}})
}

// marshal keeps a conversation; what can't be marshalled is a fault of ours.
func marshal(v any) (json.RawMessage, error) { return json.Marshal(v) }

// pending is the conversation as it was remembered.
func pending[T any](c *Cursor) (v T, err error) {
	err = json.Unmarshal(c.Pending, &v)
	return v, err
}
