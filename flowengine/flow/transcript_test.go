package flow

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/usher-id/usher/tenant"
)

// TestTranscripts plays every testdata/*.flow. A transcript is a world of users,
// a configuration (over the default one), and a conversation:
//
//	start login default   begin a run (> lines right after it are its batch)
//	> {...}               the client sends (several > lines in a row are a batch)
//	< {...}               the action must contain this
//	! Reason {...}        the input was refused, with this in the info, and nothing moved
//	* Effect ...          the effects of the last move, in order
//	t step/method ...     the trace of the last move
//	to ADDRESS            the last message goes there
//	back N                go back to the state after N moves (an old state token)
//	wait N                N seconds pass
//	approve               the link of the last message is followed and approved
//	keep                  the first recovery code shown is $KEPT from now on
//	device TOKEN          the device shows this token
//	signed USER AMR ...   this user is signed in, and was proved so
//	elsewhere             and on another device too
//	hook {...}            the next hook that was asked, with its event and facts
//	limit N               from here on every bucket holds N tries
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.flow")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".flow"), func(t *testing.T) {
			ar, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			newPlayer(t, ar).play()
		})
	}
}

type player struct {
	*testing.T
	lines   []string
	program *Program
	world   *world
	states  [][]byte // one per move, as a store would keep them
	now     []byte   // nil before a run
	last    Result
	refused error
	kept    string
	begin   *tenant.FlowRef
	batch   []Input
}

func newPlayer(t *testing.T, ar *txtar.Archive) *player {
	p := &player{T: t, world: &world{limit: 1000}}
	cfg := tenant.DefaultConfig()
	cfg.PasswordPolicy = tenant.PasswordPolicy{MinimumLength: 8}
	for _, f := range ar.Files {
		switch f.Name {
		case "world":
			decode(t, string(f.Data), p.world)
		case "config":
			decode(t, string(f.Data), cfg)
		case "run":
			p.lines = strings.Split(string(f.Data), "\n")
		default:
			t.Fatalf("no section %q", f.Name)
		}
	}
	var problems []tenant.Problem
	if p.program, problems = Compile(cfg); problems != nil {
		t.Fatal(problems)
	}
	return p
}

// flush sends what was collected.
func (p *player) flush() {
	if p.begin == nil && p.batch == nil {
		return
	}
	var r Result
	var err error
	if p.begin != nil {
		r, err = p.program.Start(p.world, *p.begin, p.world.Signed, p.batch...)
	} else {
		var s State
		decode(p.T, string(p.now), &s)
		r, err = p.program.Step(p.world, s, p.batch...)
		if again, _ := json.Marshal(s); string(again) != string(p.now) {
			p.Fatalf("the state that was given has changed:\n%s\n%s", p.now, again)
		}
	}
	p.begin, p.batch = nil, nil
	p.last.Trace = r.Trace
	if p.refused = err; err == nil {
		p.last = r
		p.world.apply(r.Effects)
		p.now, err = json.Marshal(r.State)
		if err != nil {
			p.Fatal(err)
		}
		p.states = append(p.states, p.now)
		var s State
		decode(p.T, string(p.now), &s)
		if a, err := p.program.Show(p.world, s); err != nil || !reflect.DeepEqual(a, r.Action) {
			p.Fatalf("shown again, the state asks for %v (%v), not %v", a, err, r.Action)
		}
	}
}

func (p *player) play() {
	for n, line := range p.lines {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if verb != ">" {
			p.flush()
		}
		if p.refused != nil && verb != "!" && verb != "t" && verb != "hook" && verb != "#" && verb != "" {
			p.Fatalf("line %d: refused: %v", n, p.refused)
		}
		switch verb {
		case "", "#":
		case ">":
			p.batch = append(p.batch, Input(p.expand(rest)))
		case "start":
			f := strings.Fields(rest)
			p.begin = &tenant.FlowRef{Type: tenant.FlowType(f[0]), Name: f[1]}
		case "back":
			var i int
			fmt.Sscan(rest, &i)
			p.now = p.states[i]
		case "wait":
			var n int64
			fmt.Sscan(rest, &n)
			p.world.now += n
		case "approve":
			p.world.last.ApprovedAt = p.world.Now()
		case "to":
			if got := p.world.last.Target.Value; got != rest {
				p.Fatalf("line %d: the message goes to %s", n, got)
			}
		case "keep":
			p.kept = p.expand("$RECOVERY")
		case "device":
			p.world.Device = rest
		case "hook":
			if len(p.world.asked) == 0 {
				p.Fatalf("line %d: no hook was asked", n)
			}
			p.mustContain(n, p.world.asked[0], rest)
			p.world.asked = p.world.asked[1:]
		case "signed":
			p.world.Signed, p.world.Proof, _ = strings.Cut(rest, " ")
			p.world.since = p.world.now
		case "elsewhere":
			p.world.Others = true
		case "limit":
			fmt.Sscan(rest, &p.world.limit)
			p.world.used = nil
		case "<":
			p.mustContain(n, p.last.Action, p.expand(rest))
		case "!":
			p.refusal(n, rest)
		case "*":
			var got []string
			for _, e := range p.last.Effects {
				got = append(got, reflect.TypeOf(e).Name())
			}
			if strings.Join(got, " ") != rest {
				p.Fatalf("line %d: effects %v, want %s", n, got, rest)
			}
		case "t":
			var got []string
			for _, t := range p.last.Trace {
				got = append(got, strings.TrimSuffix(t.StepType+"/"+t.Method, "/"))
			}
			if strings.Join(got, " ") != rest {
				p.Fatalf("line %d: trace %v, want %s", n, got, rest)
			}
		default:
			p.Fatalf("line %d: %q", n, line)
		}
	}
	p.flush()
}

// expand puts in what the world knows: $CODE of the last message, $CHALLENGE of
// the passkeys' ceremony that the step has begun, $TOTP of the
// key being set up or of the first user who has one, $SETTOTP of the one that a
// settings flow offers, $RECOVERY, the first code shown.
func (p *player) expand(s string) string {
	if p.world.last != nil {
		s = strings.ReplaceAll(s, "$CODE", p.world.last.secret)
	}
	if strings.Contains(s, "$CHALLENGE") {
		s = strings.ReplaceAll(s, "$CHALLENGE", string(regexp.MustCompile(`challenge\d+`).Find(p.now)))
	}
	if strings.Contains(s, "$SETTOTP") {
		for _, o := range p.last.Action.Data["options"].([]Option) {
			if key, ok := o.Show["secret"].(string); ok {
				s = strings.ReplaceAll(s, "$SETTOTP", codeOf(p.T, key, p.world.Now()))
			}
		}
	}
	if strings.Contains(s, "$TOTP") {
		s = strings.ReplaceAll(s, "$TOTP", p.totp())
	}
	s = strings.ReplaceAll(s, "$KEPT", p.kept)
	if strings.Contains(s, "$RECOVERY") {
		s = strings.ReplaceAll(s, "$RECOVERY", p.last.Action.Data["recovery_codes"].([]string)[0])
	}
	return s
}

func (p *player) totp() string {
	key, _ := p.last.Action.Data["secret"].(string)
	for _, u := range p.world.Users {
		for _, a := range u.Authenticators {
			if a.Type == secondaryTOTP && key == "" {
				var k totpKey
				decode(p.T, strings.TrimPrefix(a.Secret, "sealed:"), &k)
				key = k.Key
			}
		}
	}
	return codeOf(p.T, key, p.world.Now())
}

func codeOf(t *testing.T, key string, at time.Time) string {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	return hotp(secret, at.Unix()/30)
}

func (p *player) refusal(n int, want string) {
	reason, info, _ := strings.Cut(want, " ")
	e := tenant.AsError(p.refused)
	if p.refused == nil || string(e.Reason) != reason {
		p.Fatalf("line %d: got %v, want refusal %s", n, p.refused, reason)
	}
	if info != "" {
		p.mustContain(n, e.Info, info)
	}
	p.refused = nil
}

func (p *player) mustContain(n int, got any, want string) {
	p.Helper()
	b, err := json.Marshal(got)
	if err != nil {
		p.Fatal(err)
	}
	var g, w any
	decode(p.T, string(b), &g)
	decode(p.T, want, &w)
	if !contains(g, w) {
		p.Fatalf("line %d:\n got %s\nwant %s", n, b, want)
	}
}

func decode(t *testing.T, s string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
}

// contains says whether want's keys and values are all in got.
func contains(got, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for k, v := range w {
			_, has := g[k]
			ok = ok && has && contains(g[k], v)
		}
		return ok
	case []any:
		g, ok := got.([]any)
		ok = ok && len(g) == len(w)
		for i := range w {
			ok = ok && contains(g[i], w[i])
		}
		return ok
	}
	return reflect.DeepEqual(got, want)
}
