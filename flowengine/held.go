package flowengine

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// runTable is what a door's data about a run is sealed as.
const runTable = "flow_run"

// Held is a run that its door's clients know by its id (Start.Held).
type Held struct {
	Run    tenant.Run
	Data   json.RawMessage // what the door keeps with it; nil for nothing
	Answer *Answer         // where it stands; nil when it has expired or was given up
}

// HeldID is what a door's clients know a run by: a UUID that is the run's,
// enciphered for the tenant. Run ids stand in admins' views and in logs, and
// whoever reads one there must not thereby hold the flow.
func HeldID(t *tenant.Tenant, runID string) (string, error) {
	run, err := tenant.ParsePFID(runID)
	if err != nil {
		return "", err
	}
	id, err := run.UUID()
	if err != nil {
		return "", err
	}
	raw, err := uuid.Parse(id)
	if err != nil {
		return "", err
	}
	heldCipher(t).Encrypt(raw[:], raw[:])
	return raw.String(), nil
}

// RunOfHeld is the id of the run that a client calls so; tenant.ErrFlowNotFound
// for what no run of the tenant is called.
func RunOfHeld(t *tenant.Tenant, id string) (string, error) {
	raw, err := uuid.Parse(id)
	if err != nil || raw.String() != id {
		return "", tenant.ErrFlowNotFound
	}
	heldCipher(t).Decrypt(raw[:], raw[:])
	run, err := tenant.PFIDOf(raw.String(), t.Partition)
	if err != nil {
		return "", tenant.ErrFlowNotFound
	}
	return run.String(), nil
}

// heldCipher permutes single blocks of 16 bytes, no two of which are alike. It is
// keyed with the tenant's wrapped key, as [world.Plausible] is.
func heldCipher(t *tenant.Tenant) cipher.Block {
	mac := hmac.New(sha256.New, t.Key)
	mac.Write([]byte("ids of held runs"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	return block
}

// Held reads a run by its id. It changes nothing. tenant.ErrFlowNotFound for a
// run that isn't held, and for one of another door or tenant.
func (e *Engine) Held(ctx context.Context, t *tenant.Tenant, c Client, runID string) (*Held, error) {
	h, err := e.held(ctx, t, c, runID)
	if err != nil {
		refusal := tenant.AsError(err)
		e.metrics.refused(refusal)
		return nil, refusal
	}
	return h, nil
}

func (e *Engine) held(ctx context.Context, t *tenant.Tenant, c Client, runID string) (*Held, error) {
	m := move{tenant: t, client: &c, now: e.now()}
	l, err := e.loadHead(ctx, &m, runID)
	if err != nil {
		return nil, err
	}
	h := &Held{Run: l.Run}
	if l.Run.SurfaceData != "" {
		data, err := e.master.OpenText(t, runTable, l.Run.ID, l.Run.SurfaceData)
		if err != nil {
			return nil, fmt.Errorf("data of run %s: %w", l.Run.ID, err)
		}
		h.Data = json.RawMessage(data)
	}
	if !l.Run.Walkable(m.now) || l.State.TokenHash == "" {
		return h, nil
	}
	state, program, err := e.open(ctx, &m, l)
	if err != nil {
		return nil, err
	}
	if _, err := e.signedIn(ctx, &m, program); err != nil {
		return nil, err
	}
	h.Answer, err = e.show(&m, program, state, "")
	return h, err
}

// loadHead reads a held run of the client's door.
func (e *Engine) loadHead(ctx context.Context, m *move, runID string) (*tenant.Loaded, error) {
	if err := admit(m.tenant); err != nil {
		return nil, err
	}
	l, err := e.store.LoadHead(ctx, m.tenant.ID, runID)
	if err == nil && l.Run.Surface != m.client.Surface {
		err = tenant.ErrFlowNotFound
	}
	if err == nil {
		m.client.about(runID)
	}
	return l, err
}

// SubmitHeld is Submit for a run that is known by its id: it answers where the
// run stands now.
func (e *Engine) SubmitHeld(ctx context.Context, t *tenant.Tenant, c Client, runID string, inputs ...flow.Input) (*Answer, error) {
	return e.submit(ctx, t, c, "", inputs, e.byID(runID))
}

// AgainHeld has a run begin anew, whatever was answered before, and feeds it the
// inputs: another address, another way. Its clients can't go back to an older
// state, as they have no tokens. What was tried and sent before stays counted.
func (e *Engine) AgainHeld(ctx context.Context, t *tenant.Tenant, c Client, runID string, inputs ...flow.Input) (*Answer, error) {
	load := e.byID(runID)
	return e.submit(ctx, t, c, "", inputs, func(ctx context.Context, m *move) (flow.State, *flow.Program, error) {
		s, program, err := load(ctx, m)
		m.again = err == nil && !s.Done
		return s, program, err
	})
}

// byID loads the state that a held run stands on.
func (e *Engine) byID(runID string) loader {
	return func(ctx context.Context, m *move) (s flow.State, program *flow.Program, err error) {
		l, err := e.loadHead(ctx, m, runID)
		if err == nil && (!l.Run.Walkable(m.now) || l.State.TokenHash == "") {
			err = tenant.ErrFlowNotFound
		}
		if err != nil {
			return s, nil, err
		}
		return e.open(ctx, m, l)
	}
}

// NoteHeld replaces what the door keeps with a run, as it was read; it is sealed.
// tenant.ErrFlowConflict when another request has replaced it since.
func (e *Engine) NoteHeld(ctx context.Context, t *tenant.Tenant, run *tenant.Run, data any) error {
	sealed, err := e.sealData(t, run.ID, data)
	if err != nil {
		return err
	}
	return e.store.NoteRun(ctx, t.ID, run.ID, run.SurfaceData, sealed)
}

func (e *Engine) sealData(t *tenant.Tenant, runID string, data any) (string, error) {
	plain, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("data of run %s: %w", runID, err)
	}
	return e.master.SealText(t, runTable, runID, string(plain))
}
