package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/usher-id/usher/testenv"
)

// logged is the line that a node has written for a request, by the request's id.
func (n *node) logged(t *testing.T, requestID string) (line map[string]any) {
	t.Helper()
	eventually(t, patience, "a line for "+requestID, func() bool {
		for text := bufio.NewScanner(strings.NewReader(n.out.String())); text.Scan(); {
			var l map[string]any
			if json.Unmarshal(text.Bytes(), &l) == nil && l["msg"] == "request" && l["request_id"] == requestID {
				line = l
			}
		}
		return line != nil
	})
	return line
}

// Whatever door a request about a run comes to, and whatever becomes of it, its
// line has the hash of the run's id, and never the id.
func TestLogNamesRunsByHash(t *testing.T) {
	n := serveNode(t, append(dev(t, testenv.SQLite(t)), "USHER_BOOTSTRAP_API_KEY="+operatorKey))
	usher(t, n.cmd.Env, strings.Replace(brief, "[email, username]", "[email]", 1)+"recovery: {email: [{channel: email, otp_form: link}]}\n", "tenant", "apply", "demo", "-")
	eventually(t, promised, "the configuration", func() bool { return knowsBrief(t, n) })
	_, port, _ := net.SplitHostPort(n.Listen)
	admin := func(query string) *reply {
		body, _ := json.Marshal(map[string]string{"query": query})
		return must(t, 200)(call("POST", "http://admin.localhost:"+port+"/graphql", map[string]string{"Authorization": "Bearer " + operatorKey}, string(body)))
	}
	hash := func(id any) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, id)))[:16] }
	asked := 0
	ask := func(status int, method, path, body string, headers ...string) (*reply, any) {
		t.Helper()
		asked++
		header := map[string]string{"X-Request-Id": fmt.Sprintf("request-%d", asked)}
		for i := 0; i < len(headers); i += 2 {
			header[headers[i]] = headers[i+1]
		}
		r := must(t, status)(call(method, n.demo(path), header, body))
		return r, n.logged(t, header["X-Request-Id"])["flow_id_hash"]
	}
	same := func(what string, got any, id any) {
		t.Helper()
		if got != hash(id) {
			t.Errorf("%s: flow_id_hash is %v, want %s of %v", what, got, hash(id), id)
		}
	}

	// The flow API: begun, answered, refused, looked at, listened to.
	const user = `{"identification":"email","login_id":"ada@example.com"}`
	r, got := ask(200, "POST", flowsPath, `{"type":"signup","batch_input":[`+user+`,{"authentication":"primary_password","new_password":"`+password+`"}]}`)
	same("sign-up", got, at(r.JSON, "result.id"))
	r, got = ask(200, "POST", flowsPath, `{"type":"login"}`)
	id, token := at(r.JSON, "result.id").(string), at(r.JSON, "result.state_token").(string)
	same("begun", got, id)
	input := func(status int, inputs string) {
		_, got := ask(status, "POST", flowsPath+"/states/input", `{"state_token":"`+token+`","batch_input":[`+inputs+`]}`)
		same("input", got, id)
	}
	input(401, user+`,{"authentication":"primary_password","password":"wrong"}`)
	input(400, `{"identification":"moon"}`)
	input(200, user)
	_, got = ask(200, "POST", flowsPath+"/states", `{"state_token":"`+token+`"}`)
	same("state", got, id)
	_, got = ask(426, "GET", flowsPath+"/ws?flow_id="+id, "")
	same("listening", got, id)
	if _, got = ask(400, "POST", flowsPath, `{"type":"login","input":{"identification":"moon"}}`); !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(fmt.Sprint(got)) {
		t.Errorf("refused at once: %v", got)
	}
	for path, body := range map[string]string{"/states": `{"state_token":"authflowstate_X"}`, "/states/input": `{"state_token":"x","input":{}}`} {
		if _, got = ask(404, "POST", flowsPath+path, body); got != nil {
			t.Errorf("%s about no run: %v", path, got)
		}
	}

	// Records.
	_, got = ask(200, "GET", "/api/v1/authflow/"+id, "", "Authorization", "Bearer "+operatorKey)
	same("record", got, id)

	// Links.
	r, got = ask(200, "POST", flowsPath, `{"type":"account_recovery","batch_input":[`+user+`,{"index":0}]}`)
	recovery := at(r.JSON, "result.id")
	same("recovery", got, recovery)
	var link *url.URL
	eventually(t, patience, "the link", func() bool {
		text, _ := at(admin(`{ tenant(slug: "demo") { messages(first: 1) { nodes { link } } } }`).JSON, "data.tenant.messages.nodes.0.link").(string)
		u, err := url.Parse(text)
		link = u
		return err == nil && u.Query().Get("code") != ""
	})
	_, got = ask(200, "GET", link.RequestURI(), "")
	same("link", got, recovery)
	code := link.Query().Get("code")
	_, got = ask(400, "POST", link.Path, url.Values{"code": {code}, "password": {"a"}, "again": {"b"}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	same("page", got, recovery)
	_, got = ask(400, "POST", flowsPath+"/states/input", `{"batch_input":[{"account_recovery_code":"`+code+`"},{"new_password":"short"}]}`)
	same("link in an app", got, recovery)

	// Doors that tell their clients other ids than the run's.
	newest := func() any {
		return at(admin(`{ tenant(slug: "demo") { flowRuns(first: 1) { nodes { runId } } } }`).JSON, "data.tenant.flowRuns.nodes.0.runId")
	}
	r, got = ask(200, "GET", "/self-service/login/api", "")
	same("self-service", got, newest())
	held := fmt.Sprint(at(r.JSON, "id"))
	_, got = ask(200, "GET", "/self-service/login/flows?id="+held, "")
	same("self-service, read", got, newest())
	_, got = ask(400, "POST", "/self-service/login?flow="+held, `{"method":"password","identifier":"ada@example.com","password":"wrong"}`)
	same("self-service, refused", got, newest())
	const executor = "/api/v3/flows/executor/login-default/"
	r, got = ask(200, "GET", executor, "")
	same("executor", got, newest())
	var cookie string
	for _, c := range r.Header.Values("Set-Cookie") {
		if strings.HasPrefix(c, "usher_flow=") {
			cookie, _, _ = strings.Cut(c, ";")
		}
	}
	_, got = ask(200, "GET", executor, "", "Cookie", cookie)
	same("executor, again", got, newest())

	for _, secret := range []any{id, recovery, held, token, code} {
		if strings.Contains(n.out.String(), fmt.Sprint(secret)) {
			t.Errorf("%v is in the log", secret)
		}
	}
}
