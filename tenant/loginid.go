package tenant

// LoginIDs says which login ids a tenant takes, and which of them are the same.
//
// Every rule but case_sensitive and ignore_dot_sign is about new login ids: a
// user who has one keeps it, and gets in by it, when a rule becomes stricter.
// case_sensitive and ignore_dot_sign say what a login id is unique by, from
// when it is given to a user on.
type LoginIDs struct {
	Email    EmailRules    `json:"email" jsonschema_description:"Rules for e-mail addresses."`
	Phone    PhoneRules    `json:"phone" jsonschema_description:"Rules for phone numbers."`
	Username UsernameRules `json:"username" jsonschema_description:"Rules for usernames."`
}

// EmailRules are the rules for e-mail addresses. An entry of a domain list is
// the domain itself, or with a leading "*." all domains below it.
type EmailRules struct {
	CaseSensitive          bool     `json:"case_sensitive" jsonschema_description:"Whether upper and lower case before the @ make two addresses."`
	BlockPlusSign          bool     `json:"block_plus_sign" jsonschema_description:"Refuse addresses with a plus sign before the @."`
	IgnoreDotSign          bool     `json:"ignore_dot_sign" jsonschema_description:"Take addresses that differ by dots before the @ for one. Mail goes to the address as the user gave it."`
	DomainAllowlist        []string `json:"domain_allowlist,omitempty" jsonschema:"maxItems=1000,uniqueItems=true" jsonschema_description:"Take only addresses of these domains, such as example.com or *.example.com. None listed: all."`
	DomainBlocklist        []string `json:"domain_blocklist,omitempty" jsonschema:"maxItems=1000,uniqueItems=true" jsonschema_description:"Refuse addresses of these domains, such as example.com or *.example.com."`
	BlockFreeMailProviders bool     `json:"block_free_email_providers" jsonschema_description:"Refuse addresses of providers where anybody gets one for free, by the list that comes with Usher. Domains of domain_allowlist are let in."`
	BlockDisposable        bool     `json:"block_disposable" jsonschema_description:"Refuse addresses of providers of throw-away mailboxes, by the list that comes with Usher. Domains of domain_allowlist are let in."`
}

// PhoneRules are the rules for phone numbers.
type PhoneRules struct {
	Countries []string `json:"countries,omitempty" jsonschema:"maxItems=300,uniqueItems=true" jsonschema_description:"Take only numbers of these countries (ISO 3166-1 alpha-2, such as HK). None listed: all."`
	ValidOnly bool     `json:"valid_only" jsonschema_description:"Take only numbers that are known to be assigned, instead of all that are possible by their length. What is known ages."`
}

// UsernameRules are the rules for usernames.
type UsernameRules struct {
	CaseSensitive    bool     `json:"case_sensitive" jsonschema_description:"Whether upper and lower case make two usernames."`
	ASCIIOnly        bool     `json:"ascii_only" jsonschema_description:"Take only the letters a to z, digits, '_', '-' and '.'. Without it letters and digits of any script (RFC 8265), and a username that looks like another one is refused (UTS 39)."`
	MinLength        int      `json:"min_length" jsonschema:"minimum=1,maximum=100" jsonschema_description:"In characters."`
	MaxLength        int      `json:"max_length" jsonschema:"minimum=1,maximum=100" jsonschema_description:"In characters."`
	BlockReserved    bool     `json:"block_reserved" jsonschema_description:"Refuse usernames that sound official, such as admin, by the list that comes with Usher."`
	Reserved         []string `json:"reserved,omitempty" jsonschema:"maxItems=1000,uniqueItems=true" jsonschema_description:"Refuse these usernames as well."`
	ExcludedKeywords []string `json:"excluded_keywords,omitempty" jsonschema:"maxItems=1000,uniqueItems=true" jsonschema_description:"Refuse usernames that contain one of these."`
}

// DefaultLoginIDs are the rules of a new tenant.
func DefaultLoginIDs() LoginIDs {
	return LoginIDs{Username: UsernameRules{ASCIIOnly: true, MinLength: 1, MaxLength: 40, BlockReserved: true}}
}
