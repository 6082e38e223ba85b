package tenant

// OAuthProvider is an OAuth 2.0 or OpenID provider that users may come from.
// Its client secret is kept apart, sealed, under the name
// oauth.<alias>.client_secret (see [OAuthSecretName]).
type OAuthProvider struct {
	Alias    string `json:"alias" jsonschema:"required,pattern=^[a-z0-9][a-z0-9_-]{0\\,39}$" jsonschema_description:"The provider's name within the tenant; inputs and secrets use it."`
	Type     string `json:"type" jsonschema:"required,enum=google,enum=facebook,enum=github,enum=linkedin,enum=azureadv2,enum=azureadb2c,enum=adfs,enum=apple,enum=wechat,enum=oidc"`
	ClientID string `json:"client_id" jsonschema:"maxLength=256"`
	AppType  string `json:"app_type,omitempty" jsonschema:"enum=mobile,enum=web" jsonschema_description:"WeChat only."`
}

// OAuthSecretName is the name that the client secret of a provider is kept under.
func OAuthSecretName(alias string) string { return "oauth." + alias + ".client_secret" }
