package graph

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// editing is what the input of every update<Section> holds besides the section.
type editing struct {
	Tenant          string              `json:"tenant"`
	ExpectedVersion *int64              `json:"expectedVersion"`
	AutoPublish     bool                `json:"autoPublish"`
	Message         string              `json:"message"`
	Force           string              `json:"force"`
	Secrets         []admin.NamedSecret `json:"secrets"`
}

// editSection is every update<Section>: the rest of the input is a merge patch
// (RFC 7396) of the section, in the names of the schema.
func (r *Resolver) editSection(ctx context.Context, section string, input map[string]any) (*EditConfigPayload, error) {
	edit, patch, err := readEdit(input)
	if err != nil {
		return nil, err
	}
	var body any = patch
	if section == "oauth_providers" {
		providers, secrets := takeSecrets(patch)
		body, edit.Secrets = providers, append(edit.Secrets, secrets...)
	}
	merge, err := json.Marshal(snake(body))
	if err != nil {
		return nil, err
	}
	done, err := r.admin.EditSection(ctx, callOf(ctx).actor(), edit.Tenant, section, merge, admin.Edit{
		ExpectedVersion: edit.ExpectedVersion, AutoPublish: edit.AutoPublish, Message: edit.Message, Force: edit.Force, Secrets: edit.Secrets,
	})
	payload := &EditConfigPayload{Conflict: conflictOf(err)}
	if err == nil {
		payload.Tenant, payload.Version, payload.Changes, payload.Problems = done.Tenant, done.Published, done.Changes, done.Problems
	}
	payload.UserErrors, err = userErrors(ctx, err)
	return payload, err
}

// readEdit takes the input of a section's mutation apart.
func readEdit(input map[string]any) (edit editing, patch map[string]any, err error) {
	text, err := json.Marshal(input)
	if err != nil {
		return edit, nil, err
	}
	if err := json.Unmarshal(text, &edit); err != nil {
		return edit, nil, err
	}
	if err := json.Unmarshal(text, &patch); err != nil {
		return edit, nil, err
	}
	for _, name := range []string{"tenant", "expectedVersion", "autoPublish", "message", "force", "secrets"} {
		delete(patch, name)
	}
	return edit, patch, nil
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

// camel turns a pointer into an input around.
func camel(pointer string) string {
	var b strings.Builder
	upper := false
	for _, r := range pointer {
		if r == '_' {
			upper = true
			continue
		}
		if upper {
			r = unicode.ToUpper(r)
		}
		upper = false
		b.WriteRune(r)
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
	c.Mine, c.Theirs = mine, theirs
	return c
}
