package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// The operations, as a client makes and checks them.

// result is where a run stands.
type result struct {
	Result struct {
		StateToken string `json:"state_token"`
		ID         string `json:"id"`
		Type       string `json:"type"`
		Action     struct {
			Type string `json:"type"`
			Data struct {
				Type         string                            `json:"type"`
				Options      []struct{ Identification string } `json:"options"`
				SessionToken string                            `json:"session_token"`
			} `json:"data"`
		} `json:"action"`
	} `json:"result"`
}

func (r *result) check(action string) error {
	if r.Result.Action.Type != action || !strings.HasPrefix(r.Result.StateToken, "authflowstate_") || r.Result.ID == "" {
		return fmt.Errorf("the flow stands at %q and not at %q", r.Result.Action.Type, action)
	}
	return nil
}

const (
	flowsPath  = "/api/v1/authentication_flows"
	inputPath  = flowsPath + "/states/input"
	statePath  = flowsPath + "/states"
	createBody = `{"type":"login","name":"default","session":"token"}`
)

func (d *door) flow(ctx context.Context, s *site, path, body, action string) (*result, error) {
	var r result
	if err := d.call(ctx, request{method: http.MethodPost, host: s.host, path: path, body: []byte(body)}, &r); err != nil {
		return nil, err
	}
	return &r, r.check(action)
}

func (d *door) create(ctx context.Context, s *site) (token string, err error) {
	r, err := d.flow(ctx, s, flowsPath, createBody, "identify")
	if err != nil {
		return "", err
	}
	return r.Result.StateToken, nil
}

// state asks again for a state that stands at identify.
func (d *door) state(ctx context.Context, s *site, token string) error {
	r, err := d.flow(ctx, s, statePath, `{"state_token":"`+token+`"}`, "identify")
	if err == nil && r.Result.StateToken != token {
		err = fmt.Errorf("another state was answered")
	}
	return err
}

func identification(login string) string {
	return `{"identification":"email","login_id":"` + login + `"}`
}

func authentication(password string) string {
	return `{"authentication":"primary_password","password":"` + password + `"}`
}

func batchLogin(login, password string) string {
	return `{"type":"login","name":"default","session":"token","batch_input":[` + identification(login) + `,` + authentication(password) + `]}`
}

func finished(r *result, err error) error {
	if err == nil && !strings.HasPrefix(r.Result.Action.Data.SessionToken, "ushersession_") {
		err = fmt.Errorf("the login opened no session")
	}
	return err
}

// login signs a user of the site in with one request.
func (d *door) login(ctx context.Context, s *site) error {
	return finished(d.flow(ctx, s, flowsPath, batchLogin(s.login(chance(s.users)), password), "finished"))
}

// login3 does the same with three requests.
func (d *door) login3(ctx context.Context, s *site) error {
	token, err := d.create(ctx, s)
	if err != nil {
		return err
	}
	input := func(token, input, action string) (*result, error) {
		return d.flow(ctx, s, inputPath, `{"state_token":"`+token+`","input":`+input+`}`, action)
	}
	r, err := input(token, identification(s.login(chance(s.users))), "authenticate")
	if err != nil {
		return err
	}
	return finished(input(r.Result.StateToken, authentication(password), "finished"))
}

// identify does everything of a login that comes before the password.
func (d *door) identify(ctx context.Context, s *site) error {
	body := `{"type":"login","name":"default","batch_input":[` + identification(s.login(chance(s.users))) + `]}`
	_, err := d.flow(ctx, s, flowsPath, body, "authenticate")
	return err
}

// guess sends a wrong password, which must be refused as told. from is the
// client's address; "" for one of many.
func (d *door) guess(ctx context.Context, s *site, login, from string, status int, reason string) error {
	var refused struct{ Error struct{ Reason string } }
	err := d.call(ctx, request{
		method: http.MethodPost, host: s.host, path: flowsPath, from: from, want: status, body: []byte(batchLogin(login, "wrong "+password)),
	}, &refused)
	if err == nil && refused.Error.Reason != reason {
		err = fmt.Errorf("a wrong password was answered with %q", refused.Error.Reason)
	}
	return err
}

// session checks the session of user i.
func (d *door) session(ctx context.Context, s *site, i int) error {
	var o struct {
		Session struct {
			UserID string `json:"user_id"`
		} `json:"session"`
	}
	err := d.call(ctx, request{method: http.MethodGet, host: s.host, path: "/api/v1/session", bearer: s.session(i)}, &o)
	if err == nil && o.Session.UserID != s.user(i) {
		err = fmt.Errorf("the session is of user %q", o.Session.UserID)
	}
	return err
}

// query asks the admin API.
func (b *bench) query(ctx context.Context, d *door, text string, variables, into any) error {
	body, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		return err
	}
	answer := struct {
		Data   any               `json:"data"`
		Errors []json.RawMessage `json:"errors"`
	}{Data: into}
	err = d.call(ctx, request{method: http.MethodPost, host: adminHost, path: "/graphql", bearer: b.apiKey, body: body}, &answer)
	if err == nil && len(answer.Errors) > 0 {
		err = fmt.Errorf("the admin API answered %s", answer.Errors[0])
	}
	return err
}
