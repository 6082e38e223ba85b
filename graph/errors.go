package graph

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// userErrors turns a refusal into what a payload says, one for each cause (in
// the input, whose names are the schema's) or problem (in a document). What isn't
// about the input (who asks, our own trouble) is given back as an error.
func userErrors(ctx context.Context, err error) ([]UserError, error) {
	if err == nil {
		return nil, nil
	}
	e := tenant.AsError(err)
	switch e.Kind {
	case tenant.Internal, tenant.Unavailable, tenant.Unauthorized, tenant.Forbidden:
		return nil, err
	}
	callOf(ctx).refused.Store(true)
	var out []UserError
	causes, _ := e.Info["causes"].([]tenant.Cause)
	words := causeWords(e, causes)
	for i, c := range causes {
		info := maps.Clone(c.Details)
		if info == nil {
			info = map[string]any{}
		}
		info["kind"] = c.Kind
		out = append(out, UserError{Pointer: camel(c.Location), Reason: string(e.Reason), Message: words[i], Info: info})
	}
	problems, _ := e.Info["problems"].([]tenant.Problem)
	for _, p := range problems {
		out = append(out, UserError{Pointer: p.Pointer, Reason: p.Reason, Message: p.Message})
	}
	if len(out) == 0 {
		out = append(out, UserError{Reason: string(e.Reason), Message: e.Message, Info: details(e.Info)})
	}
	return out, nil
}

// causeWords says what each cause of a refusal is: of a new password which rule it
// breaks, as users are told; of anything else the refusal itself, which has one.
func causeWords(e *tenant.Error, causes []tenant.Cause) []string {
	if errors.Is(e, tenant.ErrPasswordPolicy) {
		return surface.PasswordWords(e)
	}
	return slices.Repeat([]string{e.Message}, len(causes))
}

// details are the facts of a refusal, besides what is shown in its own place;
// nil when there are none.
func details(facts map[string]any) any {
	rest := maps.Clone(facts)
	for _, shown := range []string{"causes", "problems", "mine", "theirs"} {
		delete(rest, shown)
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// present writes an error of a resolver or a directive. What isn't a refusal is
// logged and shown as internal.
func (h *handler) present(ctx context.Context, err error) *gqlerror.Error {
	c := callOf(ctx)
	e := tenant.AsError(err)
	if ctx.Err() != nil { // the client has gone, or had its time
		e = tenant.ErrUnavailable.Because(err)
	}
	if e.Kind == tenant.Internal {
		c.failed.Store(true)
		h.Log.ErrorContext(ctx, "admin API", "path", graphql.GetPath(ctx).String(), "request_id", c.requestID, "error", err)
	} else {
		c.refused.Store(true)
		if e.Kind == tenant.Forbidden {
			h.reject("forbidden")
		}
	}
	out := refusal(e, c.requestID)
	out.Path = graphql.GetPath(ctx)
	return out
}

// panicked turns a panic of a resolver into an internal error.
func panicked(_ context.Context, p any) error {
	return tenant.ErrInternal.Because(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}

// refusal writes a refusal as a GraphQL error.
func refusal(e *tenant.Error, requestID string) *gqlerror.Error {
	ext := map[string]any{"code": e.Kind, "reason": e.Reason, "requestId": requestID}
	if e.Kind != tenant.Internal && len(e.Info) > 0 {
		ext["info"] = e.Info
	}
	return &gqlerror.Error{Message: e.Message, Extensions: ext}
}
