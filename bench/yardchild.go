package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// The child process of the yardsticks. It serves E, and runs a loop when asked:
//
//	POST /echo                                  E
//	POST /loop?kind=argon2id&workers=2&ms=1500  {"Ops": 70, "Wall": 1512000000}

// echoed is 1 KiB of JSON of the kind that an authentication API passes around.
type echoed struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Count   int       `json:"count"`
	Done    bool      `json:"done"`
	Action  struct {
		Type    string       `json:"type"`
		Options []echoedItem `json:"options"`
	} `json:"action"`
}

type echoedItem struct {
	Identification string   `json:"identification"`
	Channels       []string `json:"channels"`
	Masked         string   `json:"masked_display_name"`
	Verified       bool     `json:"verified"`
}

// echoDocument is the document, 1024 bytes of it.
func echoDocument() []byte {
	e := echoed{ID: "0198c0de-0000-7000-8000-000000000000", Type: "login", Name: "default", Created: time.Unix(1.75e9, 0).UTC(), Count: 42}
	e.Action.Type = "identify"
	for i := range 7 {
		e.Action.Options = append(e.Action.Options, echoedItem{
			Identification: "email", Channels: []string{"email", "sms"}, Masked: fmt.Sprintf("user%d****@example.com", i), Verified: i%2 == 0,
		})
	}
	b, _ := json.Marshal(e) // plain values
	e.Name += strings.Repeat("-", 1024-len(b))
	b, _ = json.Marshal(e)
	return b
}

func echo(w http.ResponseWriter, r *http.Request) {
	var e echoed
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(&e) // the client has gone
}

// loop is something done over and over. It is called by one worker at a time
// per number.
type loop func(ctx context.Context, worker int) error

// yardMain is the child's main. The database is one of its own.
func yardMain(ctx context.Context, database string) error {
	loops := map[string]loop{"argon2id": hashArgon2id, "bcrypt": hashBcrypt(10), cheap: hashBcrypt(cheapCost)}
	hasher := secret.NewHasher(secret.HasherOptions{Workers: runtime.NumCPU()})
	defer hasher.Close()
	pooled, err := pooledHash(ctx, hasher)
	if err != nil {
		return err
	}
	loops["pooled"] = pooled
	db, err := openYardDatabase(ctx, database)
	if err != nil {
		return err
	}
	defer db.close()
	loops["read"], loops["insert"] = db.read, db.insert

	r := chi.NewRouter()
	r.Post("/echo", echo)
	r.Post("/loop", func(w http.ResponseWriter, q *http.Request) {
		one, known := loops[q.FormValue("kind")]
		workers, err1 := strconv.Atoi(q.FormValue("workers"))
		ms, err2 := strconv.Atoi(q.FormValue("ms"))
		if !known || err1 != nil || err2 != nil {
			http.Error(w, "which loop?", http.StatusBadRequest)
			return
		}
		s, err := runLoop(q.Context(), one, workers, time.Duration(ms)*time.Millisecond)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(s) // the client has gone
	})
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { // ends with the parent, which holds the other end
		_, _ = os.Stdin.Read(make([]byte, 1))
		_ = server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func runLoop(ctx context.Context, one loop, workers int, d time.Duration) (sample, error) {
	var ops atomic.Int64
	var failed error
	var once sync.Once
	var group sync.WaitGroup
	start := time.Now()
	for worker := range workers {
		group.Go(func() {
			for time.Since(start) < d {
				if err := one(ctx, worker); err != nil {
					once.Do(func() { failed = err })
					return
				}
				ops.Add(1)
			}
		})
	}
	group.Wait()
	return sample{Ops: int(ops.Load()), Wall: time.Since(start)}, failed
}

var yardSalt = make([]byte, 16)

func hashArgon2id(context.Context, int) error {
	argon2.IDKey([]byte(password), yardSalt, 2, 19*1024, 1, 32)
	return nil
}

func hashBcrypt(cost int) loop {
	once := sync.OnceValues(func() ([]byte, error) { return bcrypt.GenerateFromPassword([]byte(password), cost) })
	return func(context.Context, int) error {
		hash, err := once()
		if err != nil {
			return err
		}
		return bcrypt.CompareHashAndPassword(hash, []byte(password))
	}
}

// pooledHash is Usher's own argon2id, as its server runs it.
func pooledHash(ctx context.Context, h *secret.Hasher) (loop, error) {
	cfg := tenant.DefaultConfig().Authenticators.Password
	hash, err := h.Hash(ctx, cfg, password)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ int) error {
		ok, _, err := h.Verify(ctx, cfg, hash, password)
		if err == nil && !ok {
			err = fmt.Errorf("a password was refused")
		}
		return err
	}, nil
}
