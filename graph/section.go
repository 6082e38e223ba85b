package graph

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"github.com/99designs/gqlgen/graphql"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// editSection is every update<Section>: what the input says besides the tenant
// and how to edit is a merge patch (RFC 7396) of one section, in the words of
// the schema.
func (r *Resolver) editSection(ctx context.Context, section string, input map[string]any) (*EditConfigPayload, error) {
	slug, edit, patch, err := readEdit(input)
	if err != nil {
		return nil, err
	}
	var body any = patch
	var secrets []admin.NamedSecret
	if section == "oauth_providers" {
		body, secrets = takeSecrets(patch)
	}
	merge, err := json.Marshal(snake(body))
	if err != nil {
		return nil, err
	}
	actor := callOf(ctx).actor()
	done, err := r.admin.EditSection(ctx, actor, slug, section, merge, edit)
	payload := &EditConfigPayload{Changes: []document.Change{}, Problems: []tenant.Problem{}, Conflict: conflictOf(err)}
	for _, s := range secrets {
		if err == nil {
			err = r.admin.SetSecret(ctx, actor, slug, s)
		}
	}
	if err == nil {
		payload.Tenant, payload.Version = done.Tenant, done.Published
		payload.Changes = append(payload.Changes, done.Changes...)
		payload.Problems = append(payload.Problems, done.Problems...)
	}
	payload.UserErrors, err = userErrors(ctx, err)
	return payload, err
}

// readEdit takes the input of a section's mutation apart.
func readEdit(input map[string]any) (slug string, edit admin.Edit, patch map[string]any, err error) {
	patch = map[string]any{}
	for name, v := range input {
		switch name {
		case "tenant":
			slug, _ = v.(string)
		case "message":
			edit.Message, _ = v.(string)
		case "force":
			edit.Force, _ = v.(string)
		case "autoPublish":
			edit.AutoPublish, _ = v.(bool)
		case "expectedVersion":
			if v == nil {
				continue
			}
			n, err := graphql.UnmarshalInt64(v)
			if err != nil {
				return "", edit, nil, tenant.Invalidf("/expectedVersion", "type", "expectedVersion is a number")
			}
			edit.ExpectedVersion = &n
		default:
			patch[name] = v
		}
	}
	return slug, edit, patch, nil
}

// takeSecrets splits the providers from their client secrets, which are kept
// apart.
func takeSecrets(patch map[string]any) (providers []any, secrets []admin.NamedSecret) {
	providers = []any{}
	list, _ := patch["oauthProviders"].([]any)
	for _, item := range list {
		provider := map[string]any{}
		fields, _ := item.(map[string]any)
		for name, v := range fields {
			if name != "clientSecret" {
				provider[name] = v
			}
		}
		providers = append(providers, provider)
		alias, _ := fields["alias"].(string)
		if value, ok := fields["clientSecret"].(string); ok {
			secrets = append(secrets, admin.NamedSecret{Name: tenant.OAuthSecretName(alias), Value: value})
		}
	}
	return providers, secrets
}

// snake turns the names of the schema into those of the document.
func snake(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[snakeName(name)] = snake(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = snake(inner)
		}
		return out
	}
	return v
}

func snakeName(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// conflictOf shows both sides when somebody else was faster; nil otherwise.
func conflictOf(err error) *EditConflict {
	if !errors.Is(err, tenant.ErrVersionConflict) {
		return nil
	}
	info := tenant.AsError(err).Info
	c := &EditConflict{}
	if revision, ok := info["draft_revision"].(int64); ok {
		c.DraftRevision = int(revision)
	}
	mine, _ := info["mine"].([]document.Change)
	theirs, _ := info["theirs"].([]document.Change)
	c.Mine, c.Theirs = append([]document.Change{}, mine...), append([]document.Change{}, theirs...)
	return c
}
