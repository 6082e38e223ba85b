package main

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/usher-id/usher/testenv"
)

const operatorKey = "8mUjv2CkNQ5bYxTzR4dWfH7sLpGa9eKq"

// newKey makes an API key of a tenant.
func newKey(t *testing.T, n *node, tenant, role string) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(n.Listen)
	query := fmt.Sprintf(`{"query":"mutation { createAPIKey(input: {tenant: \"%s\", name: \"a program\", role: %s}) { secret userErrors { message } } }"}`, tenant, role)
	r := must(t, 200)(call("POST", "http://admin.localhost:"+port+"/graphql", map[string]string{"Authorization": "Bearer " + operatorKey}, query))
	key, _ := at(r.JSON, "data.createAPIKey.secret").(string)
	if key == "" {
		t.Fatalf("no key: %s", r.Body)
	}
	return key
}

// notServed are the operations below the door's paths that it doesn't have: they
// try policies, of which there are none, draw previews, list templates, or look into
// a run.
var notServed = regexp.MustCompile(`^(flows_inspector_get|policies_all_(test_create|cache_.*|types_list)|stages_all_(types_list|user_settings_list)|stages_prompt_prompts_preview_create|stages_email_templates_list)$`)

// The published client, unmodified, calls every operation that the door claims,
// and each answer is what the client's own schema says.
func TestFlowInstancesClient(t *testing.T) {
	schema := filepath.Join(strings.TrimSpace(testenv.Node(t, "testdata/modules.cjs")), "@goauthentik/api/schema.yml")
	testenv.Databases(t, func(t *testing.T, databaseURL string) {
		environ := append(dev(t, databaseURL), "USHER_BOOTSTRAP_API_KEY="+operatorKey)
		n := serveNode(t, environ)
		usher(t, environ, unlimited, "tenant", "apply", "demo", "-")
		usher(t, environ, "", "tenant", "create", "other", "--host", "other.localhost")

		const base = "/api/v3"
		c := readContract(t, schema, base)
		_, port, _ := net.SplitHostPort(c.between(t, n.Listen, base).Listener.Addr().String())
		_, direct, _ := net.SplitHostPort(n.Listen)
		t.Log(testenv.Node(t, "testdata/flowinstances.cjs",
			"BASE=http://demo.localhost:"+port, "OTHER=http://other.localhost:"+port, "ADMIN=http://admin.localhost:"+direct, "OPERATOR="+operatorKey,
			"VIEWER="+newKey(t, n, "demo", "VIEWER"), "EDITOR="+newKey(t, n, "demo", "EDITOR"), "FOREIGN="+newKey(t, n, "other", "OWNER")))

		served := regexp.MustCompile(`^/(flows/|policies/(all|bindings)/|managed/blueprints/import/|stages/(all|identification|password|authenticator/(validate|static|webauthn)|prompt|email|deny|user_(write|login|logout)|consent)/)`)
		var missed []string
		for _, p := range c.paths {
			for _, o := range c.at("paths", p.path) {
				id, _ := object(o)["operationId"].(string)
				if id != "" && served.MatchString(p.path) && !notServed.MatchString(id) && c.called[id] == 0 {
					missed = append(missed, id)
				}
			}
		}
		slices.Sort(missed)
		if len(missed) > 0 {
			t.Errorf("not called, or not answered as documented: %s", strings.Join(missed, ", "))
		}
	})
}

// What the seed prints is what we answer, at the path that it prints.
func TestFlowInstancesSeed(t *testing.T) {
	text := readRoot(t, "surface/flowinstances/testdata/authentik-flows-instances-retrieve.txt")
	var examples []map[string]any
	for _, printed := range regexp.MustCompile(`(?ms)^\{$.*?^\}$`).FindAllString(text, -1) {
		var example map[string]any
		if err := json.Unmarshal([]byte(printed), &example); err != nil {
			t.Fatal(err)
		}
		examples = append(examples, example)
	}
	if len(examples) != 3 {
		t.Fatalf("%d examples", len(examples))
	}
	n := serveNode(t, append(dev(t, testenv.SQLite(t)), "USHER_BOOTSTRAP_API_KEY="+operatorKey), "--trusted-proxies", "127.0.0.1")
	path := regexp.MustCompile(`GET(/api/\S+)`).FindStringSubmatch(text)[1]
	get := func(slug, key string, status int) any {
		return must(t, status)(call("GET", n.demo(strings.Replace(path, ":slug", slug, 1)), map[string]string{"Authorization": "Bearer " + key}, "")).JSON
	}
	for i, got := range []any{get("login-default", operatorKey, 200), get("not.a.slug", operatorKey, 400), get("login-default", "nonsense", 403)} {
		for key, want := range examples[i] {
			if key == "non_field_errors" { // it is about a field
				continue
			}
			if have, ok := object(got)[key]; !ok || fmt.Sprintf("%T", have) != fmt.Sprintf("%T", want) {
				t.Errorf("example %d: %s is %v, such as %v", i, key, have, want)
			}
		}
	}
	// A slash more or less is no other path, and nobody is led elsewhere.
	for _, p := range []string{"/api/v3/flows/instances/login-default", "/api/v3//flows//instances/login-default//"} {
		must(t, 200)(call("GET", n.demo(p), map[string]string{"Authorization": "Bearer " + operatorKey}, ""))
	}
	must(t, 204)(call("POST", n.demo("/api/v3//flows/instances/cache_clear"), map[string]string{"Authorization": "Bearer " + operatorKey}, ""))
	must(t, 405)(call("DELETE", n.demo("/api/v3/flows/instances/"), map[string]string{"Authorization": "Bearer " + operatorKey}, ""))
	must(t, 404)(call("GET", n.demo("/api/v3/core/users/"), map[string]string{"Authorization": "Bearer " + operatorKey}, ""))
	// The run is kept in a cookie of this host alone, out of reach of scripts.
	began := must(t, 200)(call("GET", n.demo("/api/v3/flows/executor/default-authentication-flow/?query="), map[string]string{"X-Forwarded-Proto": "https"}, ""))
	if kept := strings.Join(began.Header.Values("Set-Cookie"), "\n"); !regexp.MustCompile(`(?m)^__Host-usher_flow=login-default:authflowstate_\w{32}; Path=/; HttpOnly; Secure; SameSite=Lax$`).MatchString(kept) {
		t.Errorf("cookies: %s", kept)
	}
	metrics := must(t, 200)(call("GET", "http://"+n.Metrics+"/metrics", nil, ""))
	if !strings.Contains(string(metrics.Body), `surface="flowinstances"`) {
		t.Error("the metrics don't know the door")
	}
}

const executorPath = "/api/v3/flows/executor/"

// Giving up ends the run itself, not only what the browser keeps of it, and
// signing out is the same however often it is asked for. Another site can have
// neither done.
func TestFlowInstancesEnds(t *testing.T) {
	n := serveNode(t, dev(t, testenv.SQLite(t)))
	cookies := func(r *reply) string { return strings.Join(r.Header.Values("Set-Cookie"), "\n") }
	kept := func(r *reply, name string) map[string]string {
		return map[string]string{"Cookie": regexp.MustCompile(name + `=[^;]+`).FindString(cookies(r))}
	}
	from := func(site string, header map[string]string) map[string]string {
		return map[string]string{"Sec-Fetch-Site": site, "Cookie": header["Cookie"]}
	}

	run := kept(must(t, 200)(call("GET", n.demo(executorPath+"login-default/?query="), nil, "")), "usher_flow")
	_, token, _ := strings.Cut(run["Cookie"], ":")
	stands := func(status int) {
		t.Helper()
		must(t, status)(call("POST", n.demo(flowsPath+"/states/input"), nil, fmt.Sprintf(`{"state_token":%q,"input":{"identification":"email","login_id":"ada@example.com"}}`, token)))
	}
	stands(200)
	cancel := n.demo(executorPath + "login-default/cancel/?next=/home")
	must(t, 403)(call("GET", cancel, from("cross-site", run), ""))
	stands(200)
	for range 2 { // the second time there is nothing left
		r := must(t, 302)(call("GET", cancel, from("same-origin", run), ""))
		if r.Header.Get("Location") != "/home" || !strings.Contains(cookies(r), "usher_flow=;") {
			t.Errorf("to %s, cookies %s", r.Header.Get("Location"), cookies(r))
		}
	}
	stands(404)
	must(t, 302)(call("GET", cancel, nil, ""))

	session := kept(must(t, 200)(call("POST", n.demo(flowsPath), nil, fmt.Sprintf(`{"type":"signup","batch_input":[
		{"identification":"email","login_id":"ada@example.com"},{"authentication":"primary_password","new_password":%q}]}`, password))), "usher_session")
	logout := n.demo(executorPath + "logout-default/?query=")
	must(t, 403)(call("GET", logout, from("cross-site", session), ""))
	must(t, 200)(call("GET", n.demo("/api/v1/session"), session, ""))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			r, err := call("GET", logout, session, "")
			if err != nil || r.Status != 200 || !strings.Contains(cookies(r), "usher_session=;") {
				t.Errorf("%v %+v", err, r)
			}
		})
	}
	all.Wait()
	must(t, 401)(call("GET", n.demo("/api/v1/session"), session, ""))
}

// What a flow says that this API has no field for stays as it is, whatever is
// written; and a step that it has no stage for is a page that says so, of a run
// that can be given up.
func TestFlowInstancesLinking(t *testing.T) {
	environ := append(dev(t, testenv.SQLite(t)), "USHER_BOOTSTRAP_API_KEY="+operatorKey)
	n := serveNode(t, environ)
	usher(t, environ, `
account_linking: {login_id: [{name: mail, key: email, user_profile: {pointer: /email}, action: error}]}
flows:
  signup_flows:
    - name: joining
      steps:
        - {type: identify, one_of: [{identification: email, bot_protection: {mode: never}, account_linking: {login_id: [{name: mail, action: login_and_link, login_flow: default}]}}]}
        - {type: fill_user_profile, user_profile: [{pointer: /name}]}
        - {type: create_authenticator, one_of: [{authentication: primary_password}]}
  signup_login_flows:
    - {name: default, steps: [{type: identify, one_of: [{identification: email, signup_flow: joining, login_flow: default}]}]}
  presentation: [{flow: signup/joining, display_name: Joining, title: Join us}]
`, "tenant", "apply", "demo", "-")
	before := usher(t, environ, "", "tenant", "export", "demo")

	auth := map[string]string{"Authorization": "Bearer " + operatorKey}
	const joining = "/api/v3/flows/instances/signup-joining/"
	whole := must(t, 200)(call("GET", n.demo(joining), auth, ""))
	file := must(t, 200)(call("GET", n.demo(joining+"export/"), auth, ""))
	if title := at(must(t, 200)(call("PATCH", n.demo(joining), auth, `{"title": "Come in", "layout": "content_left"}`)).JSON, "title"); title != "Come in" {
		t.Errorf("the title is %v", title)
	}
	must(t, 200)(call("PUT", n.demo(joining), auth, string(whole.Body)))
	if after := usher(t, environ, "", "tenant", "export", "demo"); after != before {
		t.Errorf("from\n%s\nto\n%s", before, after)
	}
	must(t, 200)(call("PATCH", n.demo(joining), auth, `{"title": "Come in"}`))
	form := map[string]string{"Authorization": auth["Authorization"], "Content-Type": "multipart/form-data; boundary=x"}
	result := must(t, 200)(call("POST", n.demo("/api/v3/flows/instances/import/"), form,
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.yaml\"\r\n\r\n"+string(file.Body)+"\r\n--x--\r\n"))
	if after := usher(t, environ, "", "tenant", "export", "demo"); after != before || at(result.JSON, "success") != true {
		t.Errorf("%s\nfrom\n%s\nto\n%s", result.Body, before, after)
	}

	must(t, 200)(call("POST", n.demo(flowsPath), nil, fmt.Sprintf(`{"type":"signup","batch_input":[
		{"identification":"email","login_id":"ada@example.com"},{"authentication":"primary_password","new_password":%q}]}`, password)))
	page := n.demo(executorPath + "signup-joining/?query=")
	var run map[string]string
	take := func(r *reply) *reply {
		if kept := regexp.MustCompile(`usher_flow=[^;]*`).FindString(strings.Join(r.Header.Values("Set-Cookie"), "\n")); kept != "" {
			run = map[string]string{"Cookie": kept}
		}
		return r
	}
	take(must(t, 200)(call("GET", page, nil, "")))
	take(must(t, 302)(call("POST", page, run, `{"component":"ak-stage-prompt","email":"ada@example.com"}`)))
	for range 2 {
		if shown := must(t, 200)(call("GET", page, run, "")); at(shown.JSON, "component") != "ak-stage-flow-error" {
			t.Errorf("shown: %s", shown.Body)
		}
		must(t, 302)(call("POST", page, run, `{"index":0}`))
	}
	must(t, 302)(call("GET", n.demo(executorPath+"signup-joining/cancel/"), run, ""))
	if shown := must(t, 200)(call("GET", page, run, "")); at(shown.JSON, "component") != "ak-stage-prompt" {
		t.Errorf("begun anew: %s", shown.Body)
	}
}
