package flowapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/usher-id/usher/flowengine/botcheck/bottest"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
	"github.com/usher-id/usher/testenv"
)

// doorPlayer plays one transcript.
type doorPlayer struct {
	*house
	*testing.T
	limits  *transcriptLimits
	hashes  map[string]string
	x       *tenant.Tenant
	lines   []string
	totp    string      // the key of the first user who has one
	states  []doorState // one per move
	now     doorState   // where the run stands
	refused *answer     // by the last request
	begin   []string
	batch   []string

	refusing bool // the transcript expects a refusal

	bots *bottest.Provider // of bot protection; nil without it

	session string // the cookie of who is signed in
	trust   string // the cookie that the last remembered device got
	device  string // and the one that is shown
	kept    string
	users   []string
}

// finished is how the door refuses to walk on in a finished run.
const finished = "AuthenticationFlowFinished"

// doorState is a state and how it was come to.
type doorState struct {
	answer
	from  *doorState // nil for the start of a run
	begin []string
	batch []string // as the transcript has it
}

// flowUser is a user of a transcript's world.
type flowUser struct {
	ID       string
	Disabled bool
	tenant.Access
	Anonymous      bool
	Attributes     tenant.UserAttributes
	Claims         []tenant.Claim
	Unverified     bool
	Keys           []string
	Authenticators []tenant.Authenticator
}

func (p *doorPlayer) read(file, slug string) {
	raw, err := os.ReadFile(file)
	must(p.T, err)
	var world struct {
		Users     []flowUser
		Ready     []string
		Directory map[string][]flowPerson
	}
	configure := func(*tenant.Config) {}
	for _, f := range txtar.Parse(raw).Files {
		switch f.Name {
		case "world":
			must(p.T, json.Unmarshal(f.Data, &world))
		case "config":
			configure = func(c *tenant.Config) {
				c.PasswordPolicy = tenant.PasswordPolicy{MinimumLength: 8}
				must(p.T, json.Unmarshal(f.Data, c))
				if b := &c.BotProtection; b.Enabled {
					p.bots = bottest.New(p.T, b.Provider.Type, "bot secret", b.Provider.SiteKey)
					b.VerifyURL = p.bots.URL
				}
				p.directories(c, world.Directory)
			}
		case "run":
			p.lines = strings.Split(string(f.Data), "\n")
		}
	}
	p.limits.set(0)
	p.x = p.Tenant(slug, configure)
	if p.bots != nil {
		p.Secret(p.x, tenant.BotSecretName, "bot secret")
	}
	p.Change(p.x, func(tx tenant.Tx) error {
		for _, alias := range world.Ready {
			if err := tx.PutSecret(p.x.ID, tenant.Secret{Name: tenant.OAuthSecretName(alias), UpdatedAt: p.house.Now()}, []byte("sealed")); err != nil {
				return err
			}
		}
		for i := range world.Users {
			if err := tx.CreateUser(p.record(&world.Users[i])); err != nil {
				return err
			}
			p.users = append(p.users, world.Users[i].ID)
		}
		return nil
	})
}

// flowPerson is somebody in a directory of a transcript's world.
type flowPerson struct{ Username, Password, ID, Name string }

// directories puts the people of a world into a real directory, and the
// configuration's servers there.
func (p *doorPlayer) directories(c *tenant.Config, people map[string][]flowPerson) {
	for i := range c.LDAP.Servers {
		s := &c.LDAP.Servers[i]
		if people[s.Name] == nil {
			s.URL = "ldaps://127.0.0.1:1"
			continue
		}
		d := testenv.LDAP(p.T, true)
		s.URL, s.CACertificates, s.BaseDN = d.SecureURL, d.CA, d.BaseDN
		for _, who := range people[s.Name] {
			d.Person(who.Username, who.Password, nil)
		}
	}
}

// record is a user as the store has them.
func (p *doorPlayer) record(u *flowUser) *tenant.UserRecord {
	now := p.house.Now()
	r := &tenant.UserRecord{User: tenant.User{
		TenantID: p.x.ID, ID: u.ID, State: tenant.UserActive, Access: u.Access, Anonymous: u.Anonymous, Attributes: u.Attributes, CreatedAt: now, UpdatedAt: now,
	}}
	if u.Disabled {
		r.State = tenant.UserDisabled
	}
	for i, c := range u.Claims {
		id := tenant.Identity{TenantID: p.x.ID, ID: fmt.Sprint(u.ID, "-", i), UserID: u.ID, Claim: c, Shown: c.Value, VerifiedAt: now, CreatedAt: now}
		if u.Unverified {
			id.VerifiedAt = time.Time{}
		}
		if i < len(u.Keys) {
			id.Key = u.Keys[i]
		}
		r.Identities = append(r.Identities, id)
	}
	for _, a := range u.Authenticators {
		a.TenantID, a.UserID, a.Secret = p.x.ID, u.ID, p.keeps(&a)
		r.Authenticators = append(r.Authenticators, a)
	}
	return r
}

// keeps is what an authenticator keeps for real.
func (p *doorPlayer) keeps(a *tenant.Authenticator) string {
	kind, plain, _ := strings.Cut(a.Secret, ":")
	switch kind {
	case "sealed":
		var key struct{ Key string }
		if a.Type == "secondary_totp" && p.totp == "" {
			must(p.T, json.Unmarshal([]byte(plain), &key))
			p.totp = key.Key
		}
		return p.seal(p.x, a.ID, plain)
	case "h", "old":
		if p.hashes[a.Secret] == "" {
			how := tenant.DefaultConfig().Authenticators.Password
			if kind == "old" {
				how.Algorithm = "bcrypt"
			}
			hasher := secret.NewHasher(secret.HasherOptions{Workers: 1, Queue: 1})
			defer hasher.Close()
			hash, err := hasher.Hash(context.Background(), how, plain)
			must(p.T, err)
			p.hashes[a.Secret] = hash
		}
		return p.hashes[a.Secret]
	}
	return a.Secret
}

// signIn opens a session without a flow and gives its token.
func (p *doorPlayer) opens(user string, amr ...string) string {
	now, token, run := p.house.Now(), secret.NewToken("ushersession_"), secret.NewPFID(p.x.Partition)
	s := &tenant.Session{
		TenantID: p.x.ID, ID: secret.NewID(), TokenHash: secret.TokenHash(token), UserID: user, RunID: run, AMR: amr, AuthenticatedAt: now,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(time.Hour), IdleExpiresAt: now.Add(time.Hour),
	}
	must(p.T, p.Store.Commit(context.Background(), &tenant.Commit{
		New: true, Session: s, State: tenant.FlowState{TenantID: p.x.ID, TokenHash: secret.TokenHash(run), RunID: run, UserID: user, CreatedAt: now},
		Run: tenant.Run{
			TenantID: p.x.ID, ID: run, Flow: tenant.FlowRef{Type: tenant.Login, Name: "default"}, ConfigVersion: 1, Status: tenant.RunFinished,
			UserID: user, SessionID: s.ID, CreatedAt: now, ExpiresAt: now, FinishedAt: now,
		},
	}))
	return token
}

// flush sends what was collected.
func (p *doorPlayer) flush() {
	if p.begin == nil && p.batch == nil {
		return
	}
	move := doorState{begin: p.begin, batch: p.batch}
	if p.begin == nil {
		from := p.now
		move.from = &from
	}
	p.begin, p.batch = nil, nil
	if a := p.move(&move); a.status != 200 {
		p.refused = &a
		return
	}
	p.now = move
	p.states = append(p.states, move)
}

// move sends one move. The core lets a finished run be walked on from an old
// state; the door doesn't, so that the way to there is walked again.
func (p *doorPlayer) move(m *doorState) answer {
	body, path := obj{}, "/authentication_flows"
	if m.from == nil {
		body["type"], body["name"] = m.begin[0], m.begin[1]
	} else {
		path += "/states/input"
		body["state_token"] = m.from.token()
	}
	var all []json.RawMessage
	for _, in := range m.batch {
		all = append(all, json.RawMessage(p.expand(in)))
	}
	if len(all) == 1 {
		body["input"] = all[0]
	} else if len(all) > 1 {
		body["batch_input"] = all
	}
	cookies := "__Host-usher_session=" + p.session + "; __Host-usher_device_token=" + p.device
	a := p.do(request{host: p.x.Hosts[0], path: path, body: body, headers: map[string]string{"Cookie": cookies}})
	if a.str("error", "reason") == finished && !p.refusing && m.from != nil && m.from.str("result", "action", "type") != "finished" {
		again := *m.from
		if p.move(&again).status != 200 {
			p.Fatalf("the way to %s can't be walked again", m.from.raw)
		}
		m.from = &again
		return p.move(m)
	}
	m.answer = a
	if c := a.cookies["__Host-usher_device_token"]; c != nil {
		p.trust = c.Value
	}
	return a
}

func (p *doorPlayer) play() {
	for n, line := range p.lines {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		p.refusing = verb == "!"
		if verb != ">" {
			p.flush()
		}
		if p.refused != nil && verb != "!" && verb != "t" && verb != "#" && verb != "" {
			p.Fatalf("line %d: refused: %s", n, p.refused.raw)
		}
		switch verb {
		case "", "#", "*", "t":
		case ">":
			p.batch = append(p.batch, rest)
		case "start":
			p.begin = strings.Fields(rest)
		case "<":
			p.contains(n, p.now.at("result", "action"), p.expand(rest), p.now.raw)
		case "!":
			p.refusal(n, rest)
		default:
			p.happens(n, verb, rest)
		}
	}
	p.flush()
}

// happens is what happens beside the conversation.
func (p *doorPlayer) happens(n int, verb, rest string) {
	number := func() (i int) {
		_, err := fmt.Sscan(rest, &i)
		must(p.T, err)
		return i
	}
	switch verb {
	case "back":
		p.now = p.states[number()]
	case "wait":
		p.house.Wait(time.Duration(number()) * time.Second)
	case "approve":
		if a := p.page("POST", p.x.Hosts[0], p.link(p.x), nil); a.status != 200 {
			p.Fatalf("line %d: the link's page: %d %s", n, a.status, a.raw)
		}
	case "to":
		list, err := p.Store.Messages(context.Background(), p.x.ID, tenant.MessageFilter{}, tenant.Page{Limit: 1})
		must(p.T, err)
		if len(list) == 0 || list[0].To != rest {
			p.Fatalf("line %d: no message to %s", n, rest)
		}
	case "keep":
		p.kept = p.expand("$RECOVERY")
	case "device":
		p.device = p.trust
	case "signed":
		f := strings.Fields(rest)
		p.session = p.opens(f[0], f[1:]...)
	case "elsewhere":
		for _, u := range p.users {
			p.opens(u)
		}
	case "limit":
		p.limits.set(number())
	default:
		p.Fatalf("line %d: %q", n, verb)
	}
}

func (p *doorPlayer) expand(s string) string {
	if p.bots != nil {
		p.bots.Fails(bottest.None)
		if strings.Contains(s, `"response":"down"`) {
			p.bots.Fails(bottest.Errs)
		}
		if strings.Contains(s, `"response":"human"`) {
			s = strings.ReplaceAll(s, `"response":"human"`, `"response":"`+p.bots.Solve(p.x.Hosts[0])+`"`)
		}
	}
	if strings.Contains(s, "$CODE") {
		code := "000000" // of what nobody was sent
		if m := p.message(p.x); m != nil && m.Code != "" {
			code = m.Code
		} else if m != nil {
			code = p.link(p.x)
		}
		s = strings.ReplaceAll(s, "$CODE", code)
	}
	if strings.Contains(s, "$SETTOTP") {
		options, _ := p.now.at("result", "action", "data", "options").([]any)
		for i := range options {
			if key := p.now.str("result", "action", "data", "options", i, "secret"); key != "" {
				s = strings.ReplaceAll(s, "$SETTOTP", totpCode(key, p.house.Now()))
			}
		}
	}
	if strings.Contains(s, "$TOTP") {
		key := p.now.str("result", "action", "data", "secret")
		if key == "" {
			key = p.totp
		}
		s = strings.ReplaceAll(s, "$TOTP", totpCode(key, p.house.Now()))
	}
	s = strings.ReplaceAll(s, "$KEPT", p.kept)
	return strings.ReplaceAll(s, "$RECOVERY", p.now.str("result", "action", "data", "recovery_codes", 0))
}

func (p *doorPlayer) refusal(n int, want string) {
	reason, info, _ := strings.Cut(want, " ")
	if p.refused != nil && p.refused.str("error", "reason") == finished { // whatever else was wrong
		p.refused = nil
		return
	}
	if p.refused == nil || p.refused.str("error", "reason") != reason {
		p.Fatalf("line %d: want the refusal %s, got %v, at %s", n, reason, p.refused, p.now.raw)
	}
	// The door itself refuses an input that is no object, and says where in the body.
	if info != "" && p.refused.at("error", "info", "causes", 0, "location") != "/input" {
		p.contains(n, p.refused.at("error", "info"), info, p.refused.raw)
	}
	p.refused = nil
}

func (p *doorPlayer) contains(n int, got any, want, raw string) {
	p.Helper()
	var w any
	must(p.T, json.Unmarshal([]byte(want), &w))
	if !holds(got, w) {
		p.Fatalf("line %d:\n got %s\nwant %s", n, raw, want)
	}
}

// holds says whether want's keys and values are all in got; lists are as long.
func holds(got, want any) bool {
	l, ok := want.([]any)
	if !ok {
		m, ok := want.(map[string]any)
		if url, _ := want.(string); strings.HasPrefix(url, "wss://") { // the host is another one
			s, _ := got.(string)
			return strings.HasPrefix(s, "wss://")
		}
		if !ok {
			return matches(want, got)
		}
		g, ok := got.(map[string]any)
		for k, v := range m {
			_, has := g[k]
			ok = ok && has && holds(g[k], v)
		}
		return ok
	}
	g, ok := got.([]any)
	ok = ok && len(g) == len(l)
	for i := range l {
		ok = ok && holds(g[i], l[i])
	}
	return ok
}
