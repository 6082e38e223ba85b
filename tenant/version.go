package tenant

import "time"

// Version is one published, immutable version of a tenant's configuration.
type Version struct {
	TenantID  string
	Number    int64  // from 1, without gaps
	Document  []byte // JSON of a Config
	Hash      string // hex of SHA-256 of Document; equal documents share what is compiled from them
	Message   string // why, in the words of who published it
	Author    string // as the audit log names them
	CreatedAt time.Time
}

// Draft is a configuration being edited.
type Draft struct {
	TenantID  string
	Base      int64 // the version it was begun from
	Document  []byte
	Author    string // of the last edit
	UpdatedAt time.Time
}
